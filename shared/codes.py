"""Codes of failures: each with a short meaning, and a sentence that tells an operator how to mend it.

File and record codes of ESR's language stand in ``shared.esr.faults``; this module holds the rest, and finds any of
them. ``docs/codes.md`` lists all.
"""

from enum import StrEnum


class Code(StrEnum):
    """A code with its meaning and its advice."""

    meaning: str
    advice: str

    def __new__(cls, value: str, meaning: str, advice: str) -> "Code":
        """Make a member from its three parts."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        member.advice = advice
        return member


class LmsCode(Code):
    """What can be wrong with a completion file or a request of the LMS, or with one completion."""

    L001 = (
        "L001",
        "the file is not text in the profile's encoding",
        "Set the export's encoding to the profile's (UTF-8 unless it says otherwise) and export again.",
    )
    L002 = (
        "L002",
        "the header row does not hold the columns of the profile",
        "Compare the export's columns with the profile (docs/lms-files.md); change the one or the other.",
    )
    L003 = (
        "L003",
        "a row has the wrong number of columns; the file may be cut short",
        "Fetch the file again; if it stays so, look at the row that is named.",
    )
    L004 = (
        "L004",
        "a quoted value is not closed, or a value is too long; the file may be cut short",
        "Fetch the file again; if it stays so, look at the row that is named.",
    )
    L005 = (
        "L005",
        "the request is not a JSON object with a list of 1 to 5000 completions",
        "Compare the request with docs/lms-files.md.",
    )
    L101 = ("L101", "a mandatory column is empty", "Fill the column in the LMS, or edit the record and replay it.")
    L102 = (
        "L102",
        "the user's id number is not '<trust>-<person ID>' of this trust",
        "Check the account's id number in the LMS, or discard the record if the person is not ESR staff.",
    )
    L103 = (
        "L103",
        "not a date or time in a form of the profile",
        "Correct the value (a date as 2026-03-03, a time as 2026-03-03T14:22:10+00:00) and replay the record.",
    )
    L104 = (
        "L104",
        "a value is longer than 255 characters",
        "Shorten the value in the LMS, or edit the record and replay it.",
    )
    L105 = (
        "L105",
        "a field is not known, is not text, or contradicts another",
        "Give each field of docs/lms-files.md as text, and one of user_idnumber and person_id; then send again.",
    )
    L106 = (
        "L106",
        "the same reference stands twice in the request with different content",
        "Find out in the LMS which of the two is right, and send the other under its own reference or not at all.",
    )
    L107 = (
        "L107",
        "the certification's status is none of the profile's texts",
        "Add the text to 'statuses' of the profile (docs/lms-files.md), then replay the record.",
    )
    L108 = (
        "L108",
        "the field 'withdrawn' says neither yes nor no",
        "Write yes for a completion that the LMS has taken back, else no or nothing; then replay the record.",
    )


class MessageCode(Code):
    """What can be wrong with a message, whatever it speaks of."""

    R900 = (
        "R900",
        "the message does not say which trust, file and line it comes from",
        "Find out who publishes to our exchanges; only ingest should. Then discard the letter.",
    )
    R901 = (
        "R901",
        "the message body cannot be read",
        "Compare the releases that are running; replay the letter once all are of the newest.",
    )
    R902 = (
        "R902",
        "a column that is needed is missing or malformed",
        "Edit the column that is named and replay the letter.",
    )
    R903 = (
        "R903",
        "the service has no use for such a message",
        "Compare profile and release: a record type is routed to a service that does not know it.",
    )
    UNEXPECTED = (
        "UNEXPECTED",
        "handling failed in a way nobody foresaw",
        "Report it with the letter's id; the log of the service names the place. Replay it after a corrected release.",
    )
    BROKER_DELIVERY_LIMIT = (
        "BROKER_DELIVERY_LIMIT",
        "the consumer stopped each time the message was delivered",
        "Look at the service's memory and log, mend the cause, then replay the letter.",
    )


class CompletionCode(Code):
    """Why a completion is not with ESR, where it is not ESR that says so: it waits, is withheld, or is a case."""

    O101 = (
        "O101",
        "the person is no staff of the trust, and ESR does not know them",
        "Nothing is to be done. When they are hired, what they completed is sent by itself.",
    )
    O102 = (
        "O102",
        "the person has left, and the trust withholds what leavers completed",
        "Nothing is to be done. It is sent when they are rehired, or when 'completions.leavers' says 'send'.",
    )
    O103 = (
        "O103",
        "ESR came to hold the same learning by itself before it was sent",
        "Nothing is to be done.",
    )
    O104 = (
        "O104",
        "ESR has told us nothing of the person yet",
        "Wait for ESR's next file; if it stays so, look whether the person ID in the LMS is right.",
    )
    O201 = (
        "O201",
        "ESR has not answered, and it was sent again as often as the trust allows",
        "Ask ESR whether the file arrived; then resend the reference, or settle it with a reason.",
    )
    O202 = (
        "O202",
        "an operator gave it up",
        "Nothing is to be done. 'esrbridge completions settle --undo' takes it up again.",
    )
    O203 = (
        "O203",
        "an operator withdrew it",
        "Nothing is to be done. 'esrbridge completions withdraw --undo' lets it stand again.",
    )


class ConfirmationCode(Code):
    """What can be odd about an answer of ESR to a completion file: the reason of a ``ConfirmationUnmatched``."""

    C101 = (
        "C101",
        "the answer names a completion file that was never sent",
        "Ask ESR whose file it is; if it was sent before this bridge was installed, there is nothing to do.",
    )
    C102 = (
        "C102",
        "the answer repeats a reference that was never sent",
        "Ask ESR what it loaded under this reference, and have it taken back there if it is not the trust's.",
    )
    C103 = (
        "C103",
        "the answer repeats a reference that was sent, but not in the file it answers",
        "Nothing was settled by it; ask ESR for the answers to that file again.",
    )
    C104 = (
        "C104",
        "the answer names another place in the file than the record had; it settles the record all the same",
        "Compare one such record in ESR; if ESR took another for it, tell ESR, and send the two again.",
    )
    C105 = (
        "C105",
        "the answer names another type of record than was sent; it settles nothing",
        "Ask ESR for the answers to that file again.",
    )
    C106 = (
        "C106",
        "ESR had confirmed the record and refuses it now; the newer answer counts",
        "Look in ESR whether the achievement is there, then act on the refusal's own code.",
    )
    C107 = (
        "C107",
        "the counts of the confirmation differ from the records below it",
        "Ask ESR for the confirmation again; what has no answer stays open.",
    )
    C108 = (
        "C108",
        "the answer stands before any line that names a completion file",
        "Nothing was settled by it; ask ESR for the confirmation again.",
    )
    C109 = (
        "C109",
        "ESR says that part of the file was loaded and not which part",
        "Its records stay open; ask ESR for answers to each, or send the file's records again.",
    )
    C110 = (
        "C110",
        "ESR refuses a whole file of which it had confirmed records",
        "What was confirmed stays so; look in ESR whether these achievements are there.",
    )
