"""The operator's page, the alert rules and the dashboard say what the code says."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import yaml

from services.confirmations import metrics
from shared.answer_words import OURS, REMEDIES, about
from shared.codes import ConfirmationCode
from shared.esr.faults import FileCode, RecordCode
from shared.esr_answers import Remedy

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "confirmations.md").read_text("utf-8")
MONITORING = ROOT / "deploy" / "monitoring"
REFUSALS = [
    *(code for code in RecordCode if code.startswith("B")),
    *(code for code in RecordCode if code.startswith("R")),
    *(code for code in FileCode if code <= "F010"),
]
"""Codes with which ESR may answer our files; later file codes are the bridge's own."""


def rows(first: str) -> list[list[str]]:
    """The rows of a table of the page whose first cells begin so."""
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in PAGE.splitlines()
        if re.match(rf"\| {first}\d", line)
    ]


def test_the_page_tells_of_every_refusal_what_it_means_what_to_do_and_what_follows() -> None:
    told = [about(code) for code in REFUSALS]
    assert rows("[BRF]") == [[one["code"], one["meaning"], one["advice"], one["next"]] for one in told]


def test_the_page_tells_of_everything_odd_what_it_means_and_what_to_do() -> None:
    assert rows("C") == [[one.value, one.meaning, one.advice] for one in ConfirmationCode]


def test_each_remedy_has_plain_words_on_the_page() -> None:
    assert set(REMEDIES) == set(get_args(Remedy))
    assert [remedy for remedy, words in REMEDIES.items() if f"| `{remedy}` | {words} |" not in PAGE] == []
    assert {about(code)["remedy"] for code in REFUSALS} <= set(REMEDIES)


def test_advice_of_our_own_files_is_for_codes_there_are_and_a_strange_code_is_for_an_operator() -> None:
    assert [code for code in OURS if code not in [*RecordCode, *FileCode]] == []
    assert about("Z999")["remedy"] == "operator"
    assert about("C101") == {
        "code": "C101", "meaning": ConfirmationCode.C101.meaning, "advice": ConfirmationCode.C101.advice
    }  # fmt: skip


def _metrics(text: str) -> set[str]:
    return set(re.findall(r"esrbridge_[a-z_]+", text))


def test_alerts_and_panels_look_at_metrics_there_are_and_name_a_part_of_the_page() -> None:
    there = {
        f"{family.name}{'_total' if family.type == 'counter' else ''}"
        for one in (metrics.OVERDUE, metrics.OLDEST_OPEN, metrics.UNMATCHED, metrics.REFUSED)
        for family in one.collect()
    }
    written = (MONITORING / "confirmations.rules.yml").read_text("utf-8")
    rules: list[dict[str, Any]] = yaml.safe_load(written)["groups"][0]["rules"]
    assert {name for rule in rules for name in _metrics(rule["expr"])} == there
    panels = json.loads((MONITORING / "confirmations.dashboard.json").read_text("utf-8"))["panels"]
    assert {name for panel in panels for target in panel["targets"] for name in _metrics(target["expr"])} == there
    assert _metrics(PAGE.partition("## Alerts")[2]) == there
    headings = {one.lower().replace(" ", "-") for one in re.findall(r"^## (.+)$", PAGE, re.MULTILINE)}
    links = [rule["annotations"]["runbook_url"].partition("#") for rule in rules]
    assert [link for link in links if link[0] != "docs/confirmations.md" or link[2] not in headings] == []
