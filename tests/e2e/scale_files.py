"""Files of any length for tests of scale, made line by line: records of invented locations."""

from collections.abc import Iterable
from pathlib import Path

DAY = "20260302"
NOW = "2026-03-02T18:30"


def full_name(vpd: str, seq: int = 1, day: str = DAY) -> str:
    return f"CS_{vpd}_CST_CSF_{day}_{seq:08d}.DAT"


def header(name: str, vpd: str, day: str = DAY) -> bytes:
    return f"HDR~{name}~{day} 031500~{vpd}~00000000 000000~{day} 000000~01".encode()


def location(number: int | str, *, last_update: str = "20251103 091200", described: str = "Invented Site") -> bytes:
    """A record that is stored by its owner and causes nothing else."""
    return f"LCA~{number}~Site {number}~{described}~~1 Example Road~~~Exampleton~~~GB~~~~~~~~~~{last_update}".encode()


def wide_location(number: int, *, last_update: str = "20251103 091200") -> bytes:
    """A record nearly as large as a location can be: some two kilobytes."""
    long = "Invented " * 26
    address = f"{long}~{long}~{long}"
    return f"LCA~{number}~Site {number}~{long}~~{address}~Exampleton~~~GB~~~~~{long}~{address}~~{last_update}".encode()


def put_full(folder: Path, vpd: str, lines: Iterable[bytes], seq: int = 1) -> Path:
    """Put a full file of these records where ESR would, whole; return its path."""
    path = folder / vpd / "from-esr" / full_name(vpd, seq)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    count = 0
    with temporary.open("wb") as file:
        file.write(header(path.name, vpd) + b"\r\n")
        for line in lines:
            file.write(line + b"\r\n")
            count += 1
        file.write(b"TRL~%d\r\n" % count)
    temporary.rename(path)
    return path
