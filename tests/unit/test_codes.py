"""Every code has a meaning and advice, and stands in docs/codes.md."""

from collections import Counter
from pathlib import Path

from esrbridge.codes import advice, as_markdown
from services.console.web import words
from shared.answer_words import about
from shared.codes import CompletionCode, ConfirmationCode, LmsCode, MessageCode
from shared.esr.faults import FileCode, RecordCode

DOCUMENT = Path(__file__).parents[2] / "docs" / "codes.md"
ALL = [*FileCode, *RecordCode, *LmsCode, *MessageCode, *ConfirmationCode, *CompletionCode]


def test_the_list_in_docs_is_what_the_code_gives() -> None:
    assert DOCUMENT.read_text() == as_markdown(), "run: esrbridge codes > docs/codes.md"


def test_no_code_means_two_things() -> None:
    assert [code for code, times in Counter(one.value for one in ALL).items() if times > 1] == []


def test_every_code_says_what_to_do_in_a_sentence() -> None:
    assert [one for one in ALL if not (one.meaning and one.advice.endswith("."))] == []


def test_advice_is_found_by_code_and_empty_for_a_stranger() -> None:
    assert advice("F006") == FileCode.F006.advice
    assert advice("L103") == LmsCode.L103.advice
    assert advice("no such code") == ""


def test_the_consoles_pages_know_every_code_in_plain_words() -> None:
    assert [one for one in ALL if (words.meaning(one), words.advice(one)) != (one.meaning, one.advice)] == []


def test_a_code_of_a_completion_says_what_to_do_and_what_esr_said_what_follows_too() -> None:
    assert about("O201") == {
        "code": "O201",
        "meaning": CompletionCode.O201.meaning,
        "advice": CompletionCode.O201.advice,
    }
    assert "next" in about("B201")


def test_words_on_pages_are_for_what_is_sent_where_a_file_of_ours_is_meant() -> None:
    assert words.of_completion("F005")["advice"] != FileCode.F005.advice
    assert "`" not in words.of_completion("F005")["advice"]
    assert words.coded("outbound", "code", "R101").endswith(words.of_completion("R101")["advice"])
    assert words.coded("console", "code", "R101").endswith(RecordCode.R101.advice)
    assert words.coded("outbound", "content.last_name", "R101") == words.coded("outbound", "code", "LEFT") == ""
