"""The HTTP face of nights, on a running service."""

import asyncio

from tests.service.conftest import Serve
from tests.service.harness import TIMEOUT


async def test_a_running_service_shows_its_steps_and_runs_one_again(serve: Serve) -> None:
    async with serve("people") as running:
        path = "/v1/trusts/991/nights"
        reason = {"who": "a.nother", "why": "to be sure"}
        again = await running.client.post(f"{path}/new-day/2026-03-03", json=reason)
        shown = await running.client.get(path, params={"day": "2026-03-03"})
        answers = [
            await running.client.post(f"{path}/{rest}", json=reason)
            for rest in ("breakfast/2026-03-03", "new-day/2999-01-01", "new-day/yesterday")
        ]
        nobody = await running.client.post("/v1/trusts/990/nights/new-day/2026-03-03", json=reason)
        silent = await running.client.post(f"{path}/new-day/2026-03-03", json={"who": "", "why": "x"})
    assert again.json()["code"] == ""
    (step,) = shown.json()["steps"]
    assert (step["state"], [(one["who"], one["why"]) for one in step["asked"]]) == (
        "done", [("a.nother", "to be sure")],
    )  # fmt: skip
    assert [one.status_code for one in answers] == [404, 409, 422]
    assert (nobody.status_code, silent.status_code) == (404, 422)


async def test_a_running_service_runs_its_steps_by_itself_and_tells_which_are_late_as_a_metric(serve: Serve) -> None:
    async with serve("ingest") as running:
        async with asyncio.timeout(TIMEOUT):
            while True:
                found = (await running.client.get("/v1/trusts/992/nights")).json()["steps"]
                if {one["step"]: one["state"] for one in found}.get("purge") in ("done", "due"):
                    break
                await asyncio.sleep(0.05)
        metrics = (await running.client.get("/metrics")).text
    assert {one["step"] for one in found} == {"purge", "files-due"}
    assert "# TYPE esrbridge_late_steps gauge" in metrics
