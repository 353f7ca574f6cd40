"""User names looked up in a trust's directory (LDAP).

The library is synchronous and its connections are cheap, so each batch of look-ups has a thread and a connection of
its own, with a deadline for every step.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import ldap3
from ldap3.core.exceptions import LDAPException
from ldap3.utils.conv import escape_filter_chars

from shared.account_settings import DirectorySettings
from shared.errors import ConfigurationError, DirectoryUnavailableError

ASKED_AT_ONCE: Final = 50
"""Employee numbers in one search."""

_THIS_MACHINE: Final = ("localhost", "127.0.0.1", "::1")


class Directory:
    """A trust's directory. ``password`` reads the secret anew each time it is needed."""

    def __init__(self, settings: DirectorySettings, password: Callable[[], str]) -> None:
        """Raises ConfigurationError for an address that is none."""
        self._settings = settings
        self._password = password
        address = urlsplit(settings.url)
        if address.scheme not in ("ldap", "ldaps") or not address.hostname:
            raise ConfigurationError("directory.url is not an address such as ldaps://directory.example")
        self._secured = address.scheme == "ldaps"
        self._local = address.hostname in _THIS_MACHINE
        self._server = ldap3.Server(
            address.hostname,
            port=address.port,
            use_ssl=self._secured,
            get_info=ldap3.NONE,
            connect_timeout=settings.timeout_seconds,
            tls=ldap3.Tls(
                validate=ssl.CERT_REQUIRED, ca_certs_file=str(settings.ca_file) if settings.ca_file else None
            ),
        )

    async def names(self, employee_numbers: Sequence[str]) -> dict[str, str]:
        """Return user names by employee number; numbers that are unknown there, or held twice, are missing.

        Raises DirectoryUnavailableError.
        """
        numbers = sorted({number for number in employee_numbers if number})
        return await asyncio.to_thread(self._search, numbers) if numbers else {}

    def _search(self, numbers: Sequence[str]) -> dict[str, str]:
        try:
            found: dict[str, set[str]] = {}
            with self._connected() as connection:
                for first in range(0, len(numbers), ASKED_AT_ONCE):
                    self._collect(connection, numbers[first : first + ASKED_AT_ONCE], found)
        except (LDAPException, OSError) as error:
            # The library's own words may repeat what was searched for.
            raise DirectoryUnavailableError(f"the directory did not answer ({type(error).__name__})") from None
        return {number: next(iter(names)) for number, names in found.items() if len(names) == 1}

    @contextmanager
    def _connected(self) -> Iterator[ldap3.Connection]:
        settings = self._settings
        connection = ldap3.Connection(
            self._server,
            user=settings.bind or None,
            password=self._password() if settings.bind else None,
            receive_timeout=max(1, int(settings.timeout_seconds)),  # a struct of whole seconds
            raise_exceptions=True,
            read_only=True,
        )
        try:
            connection.open()
            if not self._secured and not self._local:
                connection.start_tls()
            connection.bind()
            yield connection
        finally:
            connection.unbind()
            if connection.socket is not None:  # the library leaves it open when nobody answered
                connection.socket.close()

    def _collect(self, connection: ldap3.Connection, numbers: Sequence[str], found: dict[str, set[str]]) -> None:
        attribute, search = self._settings.attribute, self._settings.search
        either = "".join(f"({search}={escape_filter_chars(number)})" for number in numbers)
        connection.search(self._settings.base, f"(|{either})", attributes=[attribute, search])
        asked = {number.casefold(): number for number in numbers}
        for entry in connection.response or ():
            held = entry.get("attributes", {})
            names = _texts(held.get(attribute))
            for number in _texts(held.get(search)):
                if number.casefold() in asked and names:
                    found.setdefault(asked[number.casefold()], set()).add(names[0])


def _texts(value: Any) -> list[str]:  # noqa: ANN401 - whatever the directory's schema makes of it
    several = value if isinstance(value, list) else [value]
    return [str(one) for one in several if one not in (None, "")]
