"""Tells a full file from the request it answers, where both may have the same name.

Public readers of GO files disagree: one calls a file named like the request (``GDR``) the seed, others find full files
named ``GOF``. A request is a single line, so one look at the beginning of the file decides.
"""

from pathlib import Path

from shared.esr.layout import Kind
from shared.esr.lines import open_content, read_lines
from shared.esr.profile import Profile


def kind_of(profile: Profile, code: str, content: Path | bytes) -> Kind:
    """The kind a file really is, whose name says ``code``. Raises OSError like ``open``.

    It is the request's ``seed`` if a second line follows the first, or if the first is a full file's header.
    """
    kind = profile.kinds[code]
    if kind.seed is None:
        return kind
    seed = profile.kinds[kind.seed]
    delimiters = len(profile.records[seed.header].columns) - 1
    with open_content(content) as file:
        lines = (line for line, _ in read_lines(file) if line is None or line.strip())
        first = next(lines, b"")
        more = next(lines, b"") != b""
    long_header = first is not None and first.count(profile.delimiter.encode("ascii")) == delimiters
    return seed if more or long_header else kind
