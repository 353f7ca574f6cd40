"""A page for each event, made from the same code that encodes it: what it says, who says it, who hears it."""

import ast
import inspect
import types
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Any, Final, Literal, Union, get_args, get_origin

import msgspec

from shared import events
from shared.events import Event
from shared.messaging.topology import EVENTS, QUEUES

INDEX: Final = "README.md"

_ENVELOPE: Final = {"vpd": "the trust (VPD)", "cause": "the newest file it rests on; effects wait for that file"}


def pages() -> dict[str, str]:
    """Return the pages by file name, with an index. ``docs/events`` holds them; a test keeps them equal to these."""
    told = {f"{name}.md": _page(name, kind) for name, kind in sorted(events.TYPES.items())}
    return {INDEX: _index(), **told}


def write(folder: Path) -> int:
    """Write the pages into a folder and return how many; pages of events that are no more are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    made = pages()
    for path in folder.glob("*.md"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")
    return len(made)


def _index() -> str:
    lines = [
        "# Events",
        "",
        "Made by `esrbridge events docs/events`. The exchange is `bridge.events`, the routing key is the event's name.",
        "",
        "| Event | Meaning |",
        "|---|---|",
        *(f"| [{name}]({name}.md) | {_first(kind)} |" for name, kind in sorted(events.TYPES.items())),
    ]
    return "\n".join(lines) + "\n"


def _page(name: str, kind: type[Event]) -> str:
    service = name.partition(".")[0]
    described = _field_docs(kind)
    lines = [
        f"# {kind.__name__}",
        "",
        inspect.cleandoc(kind.__doc__ or ""),
        "",
        f"Published by `{service}` on `{EVENTS}` with routing key `{name}`. Heard by {_hearers(name)}.",
        "",
        "| Member | Type | Given | Meaning |",
        "|---|---|---|---|",
    ]
    for field in msgspec.structs.fields(kind):
        given = "always" if field.required else f"else {_default(field)}"
        meaning = _ENVELOPE.get(field.name) or described.get(field.name, "")
        lines.append(f"| `{field.encode_name}` | {_type(field.type)} | {given} | {' '.join(meaning.split())} |")
    for inner in _inner(kind):
        lines += ["", f"## {inner.__name__}", "", inspect.cleandoc(inner.__doc__ or ""), ""]
        lines += ["| Member | Type | Meaning |", "|---|---|---|"]
        docs = _field_docs(inner)
        lines += [
            f"| `{field.encode_name}` | {_type(field.type)} | {' '.join(docs.get(field.name, '').split())} |"
            for field in msgspec.structs.fields(inner)
        ]
    return "\n".join(lines) + "\n"


def _first(kind: type[Event]) -> str:
    return " ".join((kind.__doc__ or "").split("\n\n")[0].split())


def _hearers(name: str) -> str:
    heard = [
        f"`{queue.name}`"
        for queue in QUEUES
        if any(one.exchange == EVENTS and _matches(one.pattern, name) for one in queue.bindings)
    ]
    return ", ".join(heard) if heard else "no queue of this release; anybody may bind one"


def _matches(pattern: str, name: str) -> bool:
    return pattern in ("#", name) or (pattern.endswith(".*") and name.startswith(pattern[:-1]))


def _default(field: Any) -> str:  # noqa: ANN401 - msgspec's own field description
    if field.default is msgspec.NODEFAULT:
        return "none"
    return f"`{field.default!r}`" if field.default not in ("", ()) else "empty"


def _type(kind: Any) -> str:  # noqa: ANN401 - any annotation
    origin = get_origin(kind)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in get_args(kind))
    if origin is tuple:
        return f"list of {_type(get_args(kind)[0])}"
    if origin in (Union, types.UnionType):
        return " or ".join(_type(one) for one in get_args(kind))
    names = {str: "text", int: "number", bool: "yes or no", type(None): "null"}
    return names.get(kind) or kind.__name__


def _inner(kind: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """The structs an event is made of, in the order they are met, but for the cause that every event has."""
    found: list[type[msgspec.Struct]] = []
    waiting: list[Any] = [field.type for field in msgspec.structs.fields(kind)]
    while waiting:
        one = waiting.pop(0)
        if get_origin(one) is tuple:
            waiting.append(get_args(one)[0])
        elif isinstance(one, type) and issubclass(one, msgspec.Struct) and one not in (*found, events.Cause):
            found.append(one)
            waiting += [field.type for field in msgspec.structs.fields(one)]
    return found


def _field_docs(kind: type) -> dict[str, str]:
    """What stands under each member in the source: the texts that are there for readers of the code."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base.__module__ != events.__name__:
            continue
        for before, after in pairwise(ast.iter_child_nodes(ast.parse(dedent(inspect.getsource(base))).body[0])):
            if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name):
                text = after.value if isinstance(after, ast.Expr) else None
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    found[before.target.id] = text.value
    return found
