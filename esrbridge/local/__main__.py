"""``python -m esrbridge.local --dir .local``: PostgreSQL and RabbitMQ in the foreground, for ``make up``.

Prints two shell exports when both are ready, and stops both on Ctrl-C or SIGTERM. A backend whose URL already
stands in the environment is not started but passed on.
"""

import argparse
import os
import shlex
import signal
import sys
from pathlib import Path
from types import FrameType

from esrbridge.local.postgres import postgres
from esrbridge.local.rabbitmq import need_server, rabbitmq
from shared.errors import BridgeError

DATABASE = "ESRBRIDGE_ADMIN_DATABASE_URL"
BROKER = "ESRBRIDGE_BROKER_URL"


def main(arguments: list[str] | None = None) -> int:
    """Run until told to stop. Exit codes: 0 stopped on request, 2 something could not be started or installed."""
    parser = argparse.ArgumentParser(prog="python -m esrbridge.local", description="Run PostgreSQL and RabbitMQ here.")
    parser.add_argument("--dir", type=Path, default=Path(".local"), help="folder for data and logs (%(default)s)")
    parser.add_argument("--need-rabbitmq", action="store_true", help="only make sure that a RabbitMQ can be started")
    options = parser.parse_args(arguments)
    folder: Path = options.dir
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    try:
        if options.need_rabbitmq:
            if not os.environ.get(BROKER):
                need_server(folder / "rabbitmq")
        else:
            _serve(folder)
    except BridgeError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _serve(folder: Path) -> None:
    with (
        postgres(folder / "postgres", given=os.environ.get(DATABASE)) as database,
        rabbitmq(folder / "rabbitmq", given=os.environ.get(BROKER)) as broker,
    ):
        for name, url in ((DATABASE, database.url), (BROKER, broker.url)):
            sys.stdout.write(f"export {name}={shlex.quote(url)}\n")
        sys.stdout.flush()
        sys.stderr.write(f"PostgreSQL: {database.origin}, RabbitMQ: {broker.origin}. Stop with Ctrl-C.\n")
        while True:
            signal.pause()


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Leave through the ``with`` blocks, and let no second signal interrupt them while they stop the servers."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
