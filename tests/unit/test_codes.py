"""Every code has a meaning and advice, and stands in docs/codes.md."""

from collections import Counter
from pathlib import Path

from esrbridge.codes import advice, as_markdown
from shared.codes import LmsCode, MessageCode
from shared.esr.faults import FileCode, RecordCode

DOCUMENT = Path(__file__).parents[2] / "docs" / "codes.md"
ALL = [*FileCode, *RecordCode, *LmsCode, *MessageCode]


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
