"""Files that appear whole or not at all."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def put_file(path: Path, content: bytes) -> None:
    """Write a file so that it appears whole or not at all, also after a power cut. OSError goes through."""
    put_written(path, lambda file: _write(file, content))


def copy_file(source: Path, path: Path) -> None:
    """Copy a file so that the copy appears whole or not at all, in bounded memory. OSError goes through."""
    with source.open("rb") as original:
        put_written(path, lambda file: shutil.copyfileobj(original, file))


def put_written(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Let ``write`` fill a file that appears whole or not at all, also after a power cut.

    What ``write`` or the system raises goes through, and nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(file: BinaryIO, content: bytes) -> None:
    file.write(content)
