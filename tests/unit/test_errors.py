"""One tree of errors, each with its own stable code and a sentence."""

import asyncio
import inspect
from collections import Counter

import pytest

import esrbridge.local.docker
import services.console.domain
from shared.errors import BridgeError, FileRefusedError, RecordError, TransientError

LOADED = (esrbridge.local.docker, services.console.domain)
"""Modules with errors of their own, imported so that the tree is whole."""


def tree(root: type[BridgeError] = BridgeError) -> list[type[BridgeError]]:
    return [root, *(one for child in root.__subclasses__() for one in tree(child))]


SHARED = [kind for kind in tree() if kind.__module__ == "shared.errors"]


def test_the_tree_is_whole() -> None:
    assert len(SHARED) >= 11
    assert services.console.domain.DeadLetterError in tree()


def test_every_class_of_the_shared_tree_has_a_code_of_its_own() -> None:
    assert [code for code, times in Counter(kind.code for kind in SHARED).items() if times > 1] == []
    assert all("code" in vars(kind) for kind in SHARED)


@pytest.mark.parametrize("kind", SHARED)
def test_the_text_is_code_and_sentence(kind: type[BridgeError]) -> None:
    wide = len(inspect.signature(kind).parameters) == 2
    error = kind("X1", "do this") if wide else kind("do this")  # type: ignore[call-arg]
    assert str(error) == f"{'X1' if wide else kind.code}: do this"
    assert error.sentence == "do this"


@pytest.mark.parametrize("kind", SHARED)
def test_what_is_transient_and_nothing_else_is_worth_trying_again(kind: type[BridgeError]) -> None:
    assert kind.retryable == issubclass(kind, TransientError)


def test_a_record_error_tells_its_own_code() -> None:
    assert RecordError("R101", "person_id is mandatory").record_code == "R101"
    assert FileRefusedError("F005", "cut short").file_code == "F005"


def test_errors_are_ordinary_exceptions_and_no_cancellation() -> None:
    assert issubclass(BridgeError, Exception)
    assert not issubclass(asyncio.CancelledError, Exception)
