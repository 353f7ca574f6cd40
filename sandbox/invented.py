"""Invented people. No name, number or address here belongs to anybody.

NI numbers use the never-issued prefix ``QQ`` and every e-mail domain ends in ``.example``. Some names hold accents,
hyphens and apostrophes, all within ISO-8859-1.
"""

import random
import unicodedata
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

_FIRST_TEXT: Final = (
    "Fern Rowan Hazel Ash Willow Linden Laurel Briar Clover Heath Ivy Juniper Maple Olive Sorrel Tansy Bryony Myrtle "
    "Alder Aspen Cedar Elm Poppy Daisy Basil Robin Wren Martin Merle Lark Sian Zoë Siân Renée José Björn Chloë André "
    "Noël Inés Jürgen Seán Nuñes"
)
_STEMS_TEXT: Final = "Sample Mock Place Example Trial Draft Model Pattern Proto Speci Templa Sketch Fable Story"
_ENDINGS_TEXT: Final = "ton ford ley worth ham by wick stead field more combe bridge"
_FIRST, _STEMS, _ENDINGS = _FIRST_TEXT.split(), _STEMS_TEXT.split(), _ENDINGS_TEXT.split()
_SPECIAL: Final = ("O'Sampley", "D'Example", "Núñez-Mockley", "Trialton-Örnsby", "O'Môckford", "Fablé", "St. Draftwick")
_TITLES: Final = ("Mr.", "Mrs.", "Ms.", "Miss", "Dr.")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an invented person is. ``slug`` is the plain-ASCII stem of e-mail addresses, unique within a trust."""

    title: str
    first_name: str
    last_name: str
    date_of_birth: date
    ni_number: str
    slug: str


def dice_for(*purpose: object) -> random.Random:
    """Return a source of chance that gives the same throws for the same purpose, on every machine."""
    return random.Random("|".join(map(str, purpose)))  # noqa: S311 - repeatable on purpose, nothing secret


def last_name(dice: random.Random) -> str:
    """Invent a last name; about one in twelve is hard on naive readers."""
    if dice.random() < 0.08:
        return dice.choice(_SPECIAL)
    return dice.choice(_STEMS) + dice.choice(_ENDINGS)


def ascii_slug(*names: str) -> str:
    """Return names as lower-case ASCII letters joined by dots, fit for an e-mail address."""
    plain = (unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower() for name in names)
    return ".".join("".join(filter(str.isalpha, name)) for name in plain)


def identity(dice: random.Random, number: int) -> Identity:
    """Invent the person with this number within the trust."""
    first, last = dice.choice(_FIRST), last_name(dice)
    born = date(1960, 1, 1) + timedelta(days=dice.randrange(44 * 365))
    ni_number = f"QQ{number % 1_000_000:06d}{'ABCD'[number % 4]}"
    return Identity(dice.choice(_TITLES), first, last, born, ni_number, f"{ascii_slug(first, last)}.{number}")
