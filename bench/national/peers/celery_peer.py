"""The same job with Celery and the SQLAlchemy ORM: quorum queues, late acknowledgement, confirmed publishing.

``split FILE`` sends a task for each record over several threads; two workers of their own take records and events.
"""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from celery import Celery
from kombu import Queue
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import QueuePool

from bench.national.peers import models
from bench.national.peers.models import Desired, Fact

RECORDS = "peer.celery.records"
EVENTS = "peer.celery.events"
THREADS = 8
CHUNK = 1_000

app = Celery("peer", broker=os.environ.get("PEER_BROKER_URL"))
app.conf.update(
    task_default_queue_type="quorum",
    worker_detect_quorum_queues=True,
    broker_transport_options={"confirm_publish": True},
    broker_pool_limit=THREADS,
    task_acks_late=True,
    task_ignore_result=True,
    task_queues=[Queue(name, queue_arguments={"x-queue-type": "quorum"}) for name in (RECORDS, EVENTS)],
    task_routes={"peer.record": {"queue": RECORDS}, "peer.event": {"queue": EVENTS}},
    worker_prefetch_multiplier=50,
    task_serializer="json",
)

_sessions: list[sessionmaker[Session]] = []


def session() -> Session:
    """Return a session; each process of a worker has an engine of its own."""
    if not _sessions:
        url = os.environ["PEER_DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
        _sessions.append(sessionmaker(create_engine(url, poolclass=QueuePool, pool_size=2), expire_on_commit=False))
    return _sessions[0]()


@app.task(name="peer.record")
def on_record(message: dict[str, Any]) -> None:
    """Keep what a record says, and tell what follows once it is committed."""
    with session() as held, held.begin():
        known = held.get(Fact, (message["entity"], message["key"]))
        if known is None:
            held.add(Fact(**message))
        elif known.version < message["version"]:
            known.version, known.data = message["version"], message["data"]
    event = models.event_of(message)
    if event is not None:
        on_event.delay(event)


@app.task(name="peer.event")
def on_event(event: dict[str, Any]) -> None:
    """Keep what the LMS should hold."""
    with session() as held, held.begin():
        known = held.get(Desired, (event["person_id"], event["key"]))
        if known is None:
            held.add(Desired(**event))
        elif known.version < event["version"]:
            known.version, known.data = event["version"], event["data"]


def split(path: Path) -> None:
    """Send every record of a file, each confirmed, over several threads."""
    with ThreadPoolExecutor(THREADS) as pool:
        for some in _chunks(models.read(path)):
            for _ in pool.map(on_record.delay, some):
                pass


def _chunks(messages: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while some := list(islice(messages, CHUNK)):
        yield some


if __name__ == "__main__":
    split(Path(sys.argv[2]))
