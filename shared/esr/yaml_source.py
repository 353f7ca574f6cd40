"""Reads YAML strictly: repeated keys, unknown keys and values of the wrong type are configuration errors."""

from collections.abc import Collection, Iterator
from typing import cast

import yaml

from shared.errors import ConfigurationError


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, where PyYAML silently keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key_node.value} is given twice", key_node.start_mark
                )
            seen.add(key_node.value)
        return cast("dict[object, object]", super().construct_mapping(node, deep))


class Section:
    """One mapping of a YAML document, with its place in it for messages.

    Every method raises ConfigurationError with a sentence that names the place and says what is expected there.
    """

    def __init__(self, place: str, value: object) -> None:
        if not isinstance(value, dict):
            raise ConfigurationError(f"{place} must be a mapping of names to values.")
        for key in value:
            if not isinstance(key, str):
                raise ConfigurationError(f"{place}: key {key!r} must be text; put it in quotes.")
        self.place = place
        self._values = cast("dict[str, object]", value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def only(self, allowed: Collection[str]) -> None:
        """Refuse keys that nothing reads: they are spelling mistakes."""
        for key in self._values:
            if key not in allowed:
                raise ConfigurationError(f"{self.place}: {key} is not a setting; known are {_listed(allowed)}.")

    def raw(self, key: str) -> object:
        """The value as YAML gave it."""
        if key not in self._values:
            raise ConfigurationError(f"{self.place}: {key} is missing.")
        return self._values[key]

    def section(self, key: str) -> "Section":
        """A mapping below this one."""
        return Section(f"{self.place}, {key}", self.raw(key))

    def text(self, key: str, default: str | None = None) -> str:
        """A text that is not empty."""
        value = self._values.get(key, default)
        if value is None and key not in self._values:
            raise ConfigurationError(f"{self.place}: {key} is missing.")
        if not isinstance(value, str) or not value:
            raise ConfigurationError(f"{self.place}: {key} must be text; put it in quotes.")
        return value

    def one_of(self, key: str, allowed: Collection[str], default: str | None = None) -> str:
        """A text out of a fixed set."""
        value = self.text(key, default)
        if value not in allowed:
            raise ConfigurationError(f"{self.place}: {key} is {value!r}; supported: {_listed(allowed)}.")
        return value

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A list of texts; empty texts are allowed."""
        if default is not None and key not in self._values:
            return default
        value = self.raw(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ConfigurationError(
                f"{self.place}: {key} must be a list of texts; put Y, N, NO and numbers in quotes."
            )
        return tuple(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self._values.get(key, default)
        if not isinstance(value, bool):
            raise ConfigurationError(f"{self.place}: {key} must be true or false.")
        return value

    def number(self, key: str, lowest: int, highest: int) -> int:
        """A whole number between two bounds."""
        value = self.raw(key)
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise ConfigurationError(f"{self.place}: {key} must be a whole number from {lowest} to {highest}.")
        return value


def parse_yaml(text: str, place: str) -> Section:
    """The document as a Section."""
    try:
        document = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader, made stricter
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{place} is not readable YAML: {_yaml_sentence(error)}.") from error
    return Section(place, document)


def _yaml_sentence(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem} on line {error.problem_mark.line + 1}"
    return str(error).splitlines()[0]


def _listed(values: Collection[str]) -> str:
    return ", ".join(sorted(values))
