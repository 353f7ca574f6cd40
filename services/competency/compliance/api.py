"""API of compliance: figures and the people behind them, as JSON, CSV or XLSX."""

import asyncio
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, HTTPException, Path, Query
from fastapi.responses import JSONResponse, Response

from services.competency.compliance import figures
from services.competency.compliance.figures import MOST, Asked, By
from services.competency.compliance.sheets import MEDIA, Format, written_as
from services.competency.compliance.status import Chosen
from shared.clock import Clock
from shared.compliance_settings import ComplianceSettings
from shared.config import BridgeConfig
from shared.db.engine import Reader

Vpd = Annotated[str, Path(pattern=r"^[0-9]{3,4}$")]
Day = Annotated[date | None, Query(description="The day asked about; today when it is not said.")]
Organisation = Annotated[str | None, Query(description="An organisation's ID; empty: people without one.")]
StaffGroup = Annotated[str | None, Query(description="A staff group; empty: people without one.")]
Subject = Annotated[str | None, Query(description="A subject of the CSTF, or a competence by name.")]
Form = Annotated[Format | None, Query(alias="format", description="Beats the header Accept.")]
Accept = Annotated[str, Header(description="application/json, text/csv, or XLSX.")]
Limit = Annotated[int | None, Query(ge=1, le=MOST, description="1000 as JSON, else all.")]

JSON_ROWS: Final = 1000


def add_compliance_routes(router: APIRouter, reader: Reader, config: BridgeConfig, clock: Clock) -> None:
    """Add the routes to a router whose prefix names the trust."""

    @router.get("/compliance")
    async def counted(
        vpd: Vpd,
        by: By = "trust",
        day: Day = None,
        organisation: Organisation = None,
        staff_group: StaffGroup = None,
        subject: Subject = None,
        form: Form = None,
        accept: Accept = "",
    ) -> Response:
        """How many requirements are met, run out soon, ran out or were never met: in all and by a group."""
        asked = Asked(day or clock.today(), organisation, staff_group, subject)
        form = form or _wanted(accept)
        async with reader.trust(vpd) as connection:
            said = await figures.figures(connection, vpd, _settings(config, vpd), asked, by)
        return await _answer(said, form, f"compliance-{vpd}-{by}-{asked.day}")

    @router.get("/compliance/people")
    async def listed(
        vpd: Vpd,
        status: Chosen = "lacking",
        day: Day = None,
        organisation: Organisation = None,
        staff_group: StaffGroup = None,
        subject: Subject = None,
        form: Form = None,
        accept: Accept = "",
        limit: Limit = None,
        reveal: bool = False,
    ) -> Response:
        """Who stands behind a figure, one row for each person and requirement; names only on `reveal`."""
        asked = Asked(day or clock.today(), organisation, staff_group, subject)
        form = form or _wanted(accept)
        most = limit or (JSON_ROWS if form == "json" else MOST)
        async with reader.trust(vpd) as connection:
            said = await figures.people(
                connection, vpd, _settings(config, vpd), asked, status, reveal=reveal, limit=most
            )
        return await _answer(said, form, f"compliance-{vpd}-{status}-{asked.day}")


def _settings(config: BridgeConfig, vpd: str) -> ComplianceSettings:
    trust = config.trust(vpd)
    return trust.compliance if trust else ComplianceSettings()


def _wanted(accept: str) -> Format:
    """Return the first form that the header names that there is; JSON where anything will do. 406 where none will."""
    named = [one.partition(";")[0].strip().lower() for one in accept.split(",") if one.strip()]
    for one in named:
        for form, media in MEDIA.items():
            if one == media:
                return form
        if one in ("*/*", "application/*"):
            return "json"
        if one == "text/*":
            return "csv"
    if named:
        raise HTTPException(406, f"there are {', '.join(MEDIA.values())}")
    return "json"


async def _answer(said: Mapping[str, Any], form: Format, name: str) -> Response:
    """Write it, aside: a sheet of a whole trust takes seconds of computing."""
    if form == "json":
        return JSONResponse(said)
    content = await asyncio.to_thread(written_as, said, form)
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"'}
    return Response(content, media_type=MEDIA[form], headers=headers)
