"""How a trust is configured, as ``bridge.yaml`` and its defaults say. Secrets stand in files, which are not read."""

import re
from typing import Any, Final

from starlette.responses import Response

from services.console.web.site import Visit

HIDDEN: Final = "hidden"
_SECRET: Final = re.compile(r"(password|secret|token|passphrase|credential|private_key)(?!.*_file$)")
_LOGIN: Final = re.compile(r"(?<=://)[^/@\s]+@")

Row = tuple[str, str]


async def show(visit: Visit) -> Response:
    """Show a trust's configuration, section by section."""
    return visit.page("settings.html", trust=visit.trust, sections=sections(visit.trust.model_dump(mode="json")))


def sections(config: dict[str, Any]) -> list[tuple[str, list[Row]]]:
    """Return the settings by section, each as its path and its value in words."""
    plain = [(name, _word(name, value)) for name, value in config.items() if not isinstance(value, dict | list)]
    found = [("trust", plain)]
    for name, value in config.items():
        if isinstance(value, dict | list):
            found.append((name, list(_flat("", value))))
    return [(name, rows) for name, rows in found if rows]


def _flat(path: str, value: Any) -> list[Row]:  # noqa: ANN401 - JSON
    if isinstance(value, dict) and value:
        return [row for name, inner in value.items() for row in _flat(f"{path}.{name}" if path else name, inner)]
    if isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        return [row for place, inner in enumerate(value, 1) for row in _flat(f"{path} {place}".strip(), inner)]
    return [(path or "entries", _word(path.rpartition(".")[2], value))]


def _word(name: str, value: Any) -> str:  # noqa: ANN401 - JSON
    if value in (None, "", [], {}):
        return "not set"
    if _SECRET.search(name):
        return HIDDEN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return _LOGIN.sub("", str(value))
