"""The AsyncAPI document that readers find in docs/ says what the code does."""

import json
from pathlib import Path

from esrbridge.asyncapi import asyncapi
from shared import events
from shared.messaging.topology import EXCHANGES, QUEUES

DOCUMENT = Path(__file__).parents[2] / "docs" / "asyncapi.json"


def test_the_document_in_docs_is_what_the_code_gives() -> None:
    assert json.loads(DOCUMENT.read_text()) == asyncapi(), "run: esrbridge asyncapi > docs/asyncapi.json"


def test_every_event_type_exchange_and_queue_is_in_the_document() -> None:
    document = asyncapi()

    assert set(events.TYPES) < set(document["components"]["messages"])
    assert set(document["channels"]) == {*EXCHANGES, *(queue.name for queue in QUEUES)}


def test_every_event_says_in_a_sentence_what_it_means() -> None:
    messages = asyncapi()["components"]["messages"]

    assert all(messages[name]["summary"].endswith(".") for name in events.TYPES)
