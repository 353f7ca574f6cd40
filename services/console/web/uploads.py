"""Forms with a file in them, as browsers send them (RFC 7578). No I/O here."""

from email.parser import BytesParser
from email.policy import HTTP
from typing import Final

LONGEST: Final = 1024 * 1024
"""Bytes of a form with a file."""
MOST_FIELDS: Final = 20


def fields_of(content_type: str, body: bytes) -> dict[str, str]:
    """Return the fields of a form, files as text. Raises ValueError for what is no such form, or no UTF-8 text."""
    message = BytesParser(policy=HTTP).parsebytes(
        b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n" + body
    )
    parts = list(message.iter_parts()) if message.is_multipart() else []
    if not parts or len(parts) > MOST_FIELDS:
        raise ValueError("not a form")
    found = {}
    for part in parts:
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            found[name] = payload.decode("utf-8-sig")
    if len(found) != len(parts):
        raise ValueError("not a form")
    return found
