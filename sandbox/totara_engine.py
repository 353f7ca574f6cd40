"""Runs one GraphQL document as Totara's API does: costs counted while it runs, errors in its own shape.

Each mutation is a transaction of its own. One that fails ends the document, and the answer then holds no data, though
the mutations before it stay done.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldsOnCorrectTypeRule,
    GraphQLError,
    GraphQLResolveInfo,
    NoSchemaIntrospectionCustomRule,
    build_schema,
    default_field_resolver,
    execute_sync,
    parse,
    specified_rules,
    validate,
)

from sandbox.totara_schema import COUNTED, ROOT_POINTS, SDL
from sandbox.totara_state import TotaraSettings

Json = dict[str, Any]
Resolver = Callable[..., Any]

#: Totara leaves out fields it does not know, where the language would refuse the document.
RULES: Final = tuple(rule for rule in specified_rules if rule is not FieldsOnCorrectTypeRule)

SCHEMA: Final = build_schema(SDL)


class RefusedError(Exception):
    """The site refuses an operation: its text is the ``debugMessage``."""


@dataclass(slots=True)
class Meter:
    """Points used by a request."""

    limit: int
    used: int = 0

    def charge(self, points: int) -> None:
        """Count points. Raises GraphQLError above the limit, in the midst of the work."""
        self.used += points
        if self.used > self.limit:
            raise GraphQLError(f"Query complexity exceeded maximum allowed complexity of {self.limit}.")


class Engine:
    """Executes documents against resolvers by the name of their root field."""

    def __init__(self, settings: TotaraSettings, resolvers: Mapping[str, Resolver]) -> None:
        self._settings = settings
        self._resolvers = resolvers
        self._lock = threading.Lock()

    def run(self, request: object, meter: Meter) -> Json:
        """Return the answer to one document; points are left in ``meter``."""
        if not isinstance(request, dict) or not isinstance(request.get("query"), str):
            return self.failure("Invalid request, request cannot be empty")
        name = request.get("operationName")
        if name and not (name[:1].isalpha() and name == name.lower() and name.replace("_", "a").isalnum()):
            return self.failure("Invalid request, validation of operationName failed")
        document, faults = _checked(request["query"])
        if document is None:
            return self._refused(faults)
        with self._lock:
            result = execute_sync(
                SCHEMA, document, context_value=meter, variable_values=request.get("variables") or {},
                field_resolver=self._resolve,
            )  # fmt: skip
        if result.errors:
            return self._refused(result.errors)
        return {"data": _without(result.data, self._settings.shortened_output)}

    def failure(self, text: str) -> Json:
        """Return the answer of a call that failed as a whole."""
        return self._envelope([self._shape(GraphQLError("Internal server error"), text)])

    def _resolve(self, source: Any, info: GraphQLResolveInfo[Meter], **arguments: Any) -> Any:  # noqa: ANN401
        kind = info.parent_type.name
        meter = info.context
        if kind in ROOT_POINTS:
            meter.charge(ROOT_POINTS[kind])
            return self._resolvers[info.field_name](**arguments)
        if kind in COUNTED:
            meter.charge(1)
        return default_field_resolver(source, info, **arguments)

    def _refused(self, errors: list[GraphQLError]) -> Json:
        return self._envelope([self._shape(error, None) for error in errors])

    def _envelope(self, errors: list[Json]) -> Json:
        return {"errors": errors, "error": errors[0]["message"]}

    def _shape(self, error: GraphQLError, detail: str | None) -> Json:
        cause = error.original_error
        if detail is None and cause is not None and not isinstance(cause, GraphQLError):
            detail = str(cause) if isinstance(cause, RefusedError) else type(cause).__name__
        internal = detail is not None
        shape: Json = {"message": "Internal server error" if internal else error.message}
        shape["extensions"] = {"category": "internal" if internal else "graphql"}
        if error.path:
            shape["path"] = error.path
        if error.locations:
            shape["locations"] = [place.formatted for place in error.locations]
        if internal and self._settings.error_level != "none":
            shape["debugMessage"] = detail
        if self._settings.error_level == "developer":
            shape["trace"] = [{"file": "server/totara/webapi/classes/server.php", "line": 1}]
        return shape


def _checked(query: str) -> tuple[DocumentNode | None, list[GraphQLError]]:
    """Return a document, or why it is none."""
    try:
        document = parse(query)
    except GraphQLError as error:
        return None, [error]
    if validate(SCHEMA, document, [NoSchemaIntrospectionCustomRule]):
        return None, [GraphQLError("GraphQL introspection is not enabled.")]
    faults = validate(SCHEMA, document, RULES)
    return (None, faults) if faults else (document, [])


def _without(data: Any, names: frozenset[str]) -> Any:  # noqa: ANN401
    """Return an answer without the fields this version does not know."""
    if isinstance(data, list):
        return [_without(one, names) for one in data]
    if isinstance(data, dict):
        return {name: _without(value, names) for name, value in data.items() if name not in names}
    return data
