"""What is found when a site is looked at before it is worked with."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the site that would lose or falsify data, found by a check. Stable code, a sentence to act on."""

    code: str
    sentence: str
