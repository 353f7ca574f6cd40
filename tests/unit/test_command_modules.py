"""What a process reads of the code: its own command and service."""

import subprocess
import sys

import pytest

HELD = """
import importlib, sys
from esrbridge.cli import Lazy
Lazy()["serve"]
importlib.import_module("services.{service}.main")
print(*sorted({{name.split(".")[1] for name in sys.modules if name.startswith("services.")}}))
"""


@pytest.mark.parametrize("service", ["confirmations", "people"])
def test_the_process_of_a_service_holds_the_code_of_no_other_service(service: str) -> None:
    command = [sys.executable, "-c", HELD.format(service=service)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == ([service], "")
