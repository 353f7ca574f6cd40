"""``esrbridge simulate``: files of invented trusts, with the ``bridge.yaml`` to run them."""

from datetime import date
from pathlib import Path
from typing import Any

import yaml

from esrbridge.once import CONFIG
from sandbox.simulate import mappings, simulate


def write_simulation(folder: Path, *, trusts: int, people: int, days: int, seed: int, start: date) -> list[str]:
    """Write the files and the configuration; return the VPDs. An existing ``bridge.yaml`` is left as it is."""
    vpds = simulate(folder, trusts=trusts, people=people, days=days, seed=seed, start=start)
    write_config(folder, [trust_section(vpd, f"Invented Trust {vpd}") for vpd in vpds])
    return vpds


def trust_section(vpd: str, name: str) -> dict[str, Any]:
    """Return a trust's section of ``bridge.yaml`` with the sandbox's mappings."""
    return {"vpd": vpd, "name": name, "profile": "esr-cstf", "mappings": mappings()}


def write_config(folder: Path, trusts: list[dict[str, Any]]) -> None:
    """Write ``bridge.yaml`` unless there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CONFIG
    if not path.exists():
        path.write_text(yaml.safe_dump({"trusts": trusts}, sort_keys=False, allow_unicode=True), encoding="utf-8")
