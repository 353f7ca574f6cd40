"""ESR files of any number of invented trusts, the same for the same seed."""

from datetime import date, timedelta
from pathlib import Path
from typing import Final

from sandbox.catalogue import CATALOGUE
from sandbox.esr import SandboxEsr
from shared.errors import ConfigurationError

_FIRST_VPD: Final = 901
_MOST_TRUSTS: Final = 99


def simulate(folder: Path, *, trusts: int, people: int, days: int, seed: int, start: date) -> list[str]:
    """Write one full file and ``days`` changes files for each trust, and return the VPDs: 901, 902, ...

    The files go to ``folder/<vpd>/from-esr``, the state to ``folder/<vpd>/sandbox-esr.sqlite``. The full file's window
    ends at 00:00 of ``start``. Run again with the same arguments it changes nothing. Raises ConfigurationError for
    more trusts than there are numbers, or when a state was made with another seed.
    """
    if not 0 <= trusts <= _MOST_TRUSTS:
        raise ConfigurationError(f"Between 0 and {_MOST_TRUSTS} trusts can be simulated, not {trusts}.")
    vpds = [str(_FIRST_VPD + place) for place in range(trusts)]
    for vpd in vpds:
        esr = SandboxEsr(folder / vpd / "sandbox-esr.sqlite", vpd, seed=seed)
        inbox = folder / vpd / "from-esr"
        esr.populate(people, start)
        esr.write_full(inbox, start)
        for day in range(1, days + 1):
            esr.write_changes(inbox, start + timedelta(days=day))
    return vpds


def mappings() -> list[dict[str, str]]:
    """Return which LMS certification stands for which ESR competence, as a trust's ``bridge.yaml`` says it."""
    return [{"competence": name, "certification": idnumber} for idnumber, name in CATALOGUE]
