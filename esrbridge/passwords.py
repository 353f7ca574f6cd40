"""Where ``esrbridge migrate`` finds the administrator's URL and the services' passwords."""

from collections.abc import Mapping
from pathlib import Path

from shared.db.migrate import SERVICES
from shared.errors import ConfigurationError


def service_passwords(environment: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return the administrator's database URL and a password per service.

    Each is taken from the environment, else from a file in ESRBRIDGE_SECRETS_DIR (default ``/run/secrets``) named like
    the variable in lower case. Raises ConfigurationError naming everything that is missing.
    """
    folder = Path(environment.get("ESRBRIDGE_SECRETS_DIR", "/run/secrets"))
    url = _secret(environment, folder, "ESRBRIDGE_ADMIN_DATABASE_URL")
    passwords = {service: _secret(environment, folder, f"ESRBRIDGE_{service.upper()}_PASSWORD") for service in SERVICES}
    missing = [f"ESRBRIDGE_{name.upper()}_PASSWORD" for name, password in passwords.items() if not password]
    if not url:
        missing.insert(0, "ESRBRIDGE_ADMIN_DATABASE_URL")
    if missing:
        raise ConfigurationError(f"not set, neither in the environment nor in {folder}: {', '.join(missing)}")
    return url, passwords


def _secret(environment: Mapping[str, str], folder: Path, name: str) -> str:
    if name in environment:
        return environment[name]
    file = folder / name.lower()
    return file.read_text(encoding="utf-8").strip() if file.is_file() else ""
