"""Which of ESR's people a trust wants: everyone, or those with a job of a certain kind. No I/O here."""

from collections.abc import Iterable
from typing import Final

import msgspec

from shared.people_settings import PeopleSettings, Selection


class Post(msgspec.Struct, frozen=True, gc=False):
    """What a restriction looks at of one assignment."""

    payroll: str = ""
    position_id: str = ""
    position_name: str = ""
    organisation_id: str = ""
    staff_group: str = ""
    category: str = ""
    number: str = ""


class Restriction:
    """A trust's choice, ready for many questions."""

    def __init__(self, settings: PeopleSettings) -> None:
        self._include = _Lists(settings.include)
        self._exclude = _Lists(settings.exclude)
        self._everyone = self._include.empty and self._exclude.empty

    def admits(self, posts: Iterable[Post]) -> bool:
        """Whether someone with these assignments is wanted: one of them has to be chosen and not left out.

        Someone without any assignment is wanted unless the trust says whom it wants.
        """
        if self._everyone:
            return True
        posts = list(posts)
        if not posts:
            return self._include.empty
        return any(
            (self._include.empty or self._include.names(post)) and not self._exclude.names(post) for post in posts
        )


class _Lists:
    """A selection's values, in one spelling."""

    def __init__(self, said: Selection) -> None:
        self._payrolls = _spelt(said.payrolls)
        self._positions = _spelt(said.positions)
        self._organisations = _spelt(said.organisations)
        self._staff_groups = _spelt(said.staff_groups)
        self._categories = _spelt(said.assignment_categories)
        self._numbers = _spelt(said.assignment_numbers)
        self.empty = said == Selection()

    def names(self, post: Post) -> bool:
        """Whether any value of any list is the post's."""
        return not self.empty and (
            _spelling(post.payroll) in self._payrolls
            or _spelling(post.position_id) in self._positions
            or _spelling(post.position_name) in self._positions
            or _spelling(post.organisation_id) in self._organisations
            or _spelling(post.staff_group) in self._staff_groups
            or _spelling(post.category) in self._categories
            or _spelling(post.number) in self._numbers
        )


def _spelling(value: str) -> str:
    return value.strip().casefold()


def _spelt(values: Iterable[str]) -> frozenset[str]:
    return frozenset(_spelling(value) for value in values)


EVERYONE: Final = Restriction(PeopleSettings())
