"""What ``outbound`` holds of one person."""

from typing import Final

from services.outbound.tables import ACCOUNTS, COMPLETIONS, DECISIONS, DELIVERIES, ITEMS, MATCHES, MIRRORS
from shared.person_file import FOR_EVER, WHILE_TRUE, Held, by_person

HELD: Final = (
    Held(ACCOUNTS, "the person's account in the LMS, as wanted and as held there", WHILE_TRUE, by_person(ACCOUNTS)),
    Held(DELIVERIES, "learning that was handed to the LMS", WHILE_TRUE, by_person(DELIVERIES)),
    Held(COMPLETIONS, "learning that is to be told to ESR", WHILE_TRUE, by_person(COMPLETIONS)),
    Held(ITEMS, "each record that was written to ESR, as sent", FOR_EVER, by_person(ITEMS)),
    Held(MIRRORS, "completions that ESR holds by itself", FOR_EVER, by_person(MIRRORS)),
    # The candidates are other accounts of the LMS, perhaps of other people.
    Held(MATCHES, "how the person's account was found", FOR_EVER, by_person(MATCHES), ("candidates", "excluded")),
    Held(
        DECISIONS,
        "what rules and operators decided about the account",
        FOR_EVER,
        lambda who: DECISIONS.c.subject == who.person_id,
        ("details",),
    ),
)
