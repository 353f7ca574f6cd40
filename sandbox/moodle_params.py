"""How the web service reads a form: brackets, silent truncation, and types checked before any work.

The whole call is refused when one value would be changed by cleaning, when a key is unknown, or when one is missing.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from sandbox.moodle_errors import invalid_parameter

Pairs = list[tuple[str, str]]
Tree = dict[str, Any]

ENABLED_AUTH: Final = frozenset({"manual", "nologin", "oauth2", "ldap"})
"""Authentication methods that are installed; that one is switched off does not matter."""

_TAG = re.compile(r"<(?!\s)")
_USERNAME = re.compile(r"[a-z0-9._@-]*")
_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


def read_form(body: bytes, limit: int) -> Pairs:
    """Return the variables of a form; what is beyond the limit is dropped without a word."""
    pairs = parse_qsl(body.decode("ascii", "replace"), keep_blank_values=True, errors="surrogateescape")
    return pairs[:limit]


def tree(pairs: Sequence[tuple[str, str]]) -> Tree:
    """Return the variables as nested maps: ``a[0][b]=c`` becomes ``{"a": {"0": {"b": "c"}}}``. The last one wins."""
    root: Tree = {}
    for name, value in pairs:
        matched = _KEY.fullmatch(name)
        if matched is None:
            continue
        path = [matched[1], *re.findall(r"\[([^\[\]]*)\]", matched[2])]
        place = root
        for step in path[:-1]:
            inner = place.get(step)
            if not isinstance(inner, dict):
                inner = place[step] = {}
            place = inner
        place[path[-1] or str(len(place))] = value
    return root


@dataclass(frozen=True, slots=True)
class Value:
    """A scalar: how it is cleaned, and whether it must be there."""

    kind: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Struct:
    """Named members; any other name is refused."""

    members: Mapping[str, "Node"]
    required: bool = True


@dataclass(frozen=True, slots=True)
class Many:
    """A list; its indexes need not be consecutive, or numbers."""

    of: "Node"
    required: bool = False


Node = Value | Struct | Many


def checked(node: Node, given: object) -> Any:  # noqa: ANN401 - a tree of strings, numbers, maps and lists
    """Return what was given in its types. Raises MoodleError (invalidparameter) for anything that does not fit."""
    match node:
        case Value():
            if not isinstance(given, str):
                raise invalid_parameter()
            return _cleaned(node.kind, given)
        case Many():
            if not isinstance(given, dict):
                raise invalid_parameter()
            return [checked(node.of, one) for one in given.values()]
        case Struct():
            return _struct(node, given)


def _struct(node: Struct, given: object) -> Tree:
    if not isinstance(given, dict) or set(given) - set(node.members):
        raise invalid_parameter()
    if any(member.required and name not in given for name, member in node.members.items()):
        raise invalid_parameter()
    return {name: checked(node.members[name], value) for name, value in given.items()}


def _whole(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]+", text):
        raise invalid_parameter()
    return int(text)


def _truth(text: str) -> int:
    if text not in ("0", "1"):
        raise invalid_parameter()
    return int(text)


_SAME: Final[Mapping[str, Callable[[str], bool]]] = {
    "raw": lambda _: True,
    "trimmed": lambda text: text == text.strip(),
    "notags": lambda text: not _TAG.search(text) and not text.endswith("<"),
    "username": lambda text: _USERNAME.fullmatch(text) is not None,
    "alpha": lambda text: re.fullmatch(r"[A-Za-z]*", text) is not None,
    "name": lambda text: re.fullmatch(r"[A-Za-z0-9_-]*", text) is not None,
    "auth": lambda text: text in ENABLED_AUTH,
    "lang": lambda text: text in ("en", ""),
}


def _cleaned(kind: str, text: str) -> str | int:
    if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise invalid_parameter()
    if kind == "int":
        return _whole(text)
    if kind == "bool":
        return _truth(text)
    if not _SAME[kind](text):
        raise invalid_parameter()
    return text


_CUSTOM = Many(Struct({"type": Value("name", required=True), "value": Value("raw", required=True)}))
_PREFERENCES = Many(Struct({"type": Value("raw", required=True), "value": Value("raw", required=True)}))
_OPTIONAL: Final[Mapping[str, Node]] = {
    **{name: Value("notags") for name in ("middlename", "alternatename", "city", "phone1", "phone2")},
    **{name: Value("raw") for name in ("idnumber", "institution", "department", "address", "description", "timezone")},
    "password": Value("raw"),
    "auth": Value("auth"),
    "country": Value("alpha"),
    "lang": Value("lang"),
    "mailformat": Value("int"),
    "customfields": _CUSTOM,
    "preferences": _PREFERENCES,
}

CREATE: Final = Struct(
    {
        "users": Many(
            Struct(
                {
                    **_OPTIONAL,
                    "username": Value("username", required=True),
                    "firstname": Value("notags", required=True),
                    "lastname": Value("notags", required=True),
                    "email": Value("trimmed", required=True),
                    "createpassword": Value("bool"),
                }
            ),
            required=True,
        )
    }
)
UPDATE: Final = Struct(
    {
        "users": Many(
            Struct(
                {
                    **_OPTIONAL,
                    "id": Value("int", required=True),
                    "username": Value("username"),
                    "firstname": Value("notags"),
                    "lastname": Value("notags"),
                    "email": Value("trimmed"),
                    "suspended": Value("bool"),
                }
            ),
            required=True,
        )
    }
)
BY_FIELD: Final = Struct({"field": Value("alpha", required=True), "values": Many(Value("raw"), required=True)})
SEARCH: Final = Struct(
    {
        "criteria": Many(
            Struct({"key": Value("alpha", required=True), "value": Value("raw", required=True)}), required=True
        )
    }
)
NOTHING: Final = Struct({})
