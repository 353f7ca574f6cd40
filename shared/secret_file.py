"""Secrets that stand in files beside ``bridge.yaml``."""

from collections.abc import Callable
from pathlib import Path

from shared.errors import ConfigurationError


def secret(vpd: str, path: Path | None) -> Callable[[], str]:
    """Return what reads a secret anew; reading raises ConfigurationError when it cannot be read."""

    def read() -> str:
        if path is None:
            return ""
        try:
            return path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigurationError(f"trust {vpd}: {path}: {error.strerror}") from error

    return read
