"""Secret files. What is in them goes into no sentence and no log."""

from pathlib import Path

from shared.errors import ConfigurationError


def read_text(path: Path) -> str:
    """Return a file's text. Raises ConfigurationError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text") from None


def read_secret(path: Path) -> str:
    """Return the one line of a secret file. Raises ConfigurationError when it is empty or has several."""
    lines = read_text(path).splitlines()
    if len(lines) != 1 or not lines[0]:
        raise ConfigurationError(f"{path} must hold one line, and that is the secret")
    return lines[0]
