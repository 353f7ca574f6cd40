"""The same job with FastStream and the SQLAlchemy ORM, written well: processes of their own, everything concurrent.

``split FILE``: publishes each record, up to 500 unconfirmed at a time. ``people``: a session for each record, the event
published once the transaction is committed. ``desire``: a session for each event. Handlers run 100 at a time.

What the bridge does and this does not: accounts for lines, checks versions against deletions, derives from all that is
known of a person, keeps events safe between commit and publish, finishes after any crash without saying a thing twice.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from faststream import FastStream
from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitQueue
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from bench.national.peers import models
from bench.national.peers.models import Desired, Fact

RECORDS = "peer.faststream.records"
EVENTS = "peer.faststream.events"
UNCONFIRMED = 500
AT_ONCE = 100
CONNECTIONS = 20


def queue(name: str) -> RabbitQueue:
    return RabbitQueue(name, durable=True, queue_type=QueueType.QUORUM)


def sessions() -> async_sessionmaker[AsyncSession]:
    url = os.environ["PEER_DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://")
    engine = create_async_engine(url, pool_size=CONNECTIONS, max_overflow=0)
    return async_sessionmaker(engine, expire_on_commit=False)


def connected() -> RabbitBroker:
    return RabbitBroker(os.environ["PEER_BROKER_URL"], logger=None, default_channel=Channel(prefetch_count=AT_ONCE))


async def split(path: Path) -> None:
    """Publish every record of a file; return when all are confirmed."""
    room = asyncio.Semaphore(UNCONFIRMED)
    async with connected() as broker, asyncio.TaskGroup() as group:
        await broker.declare_queue(queue(RECORDS))

        async def publish(message: dict[str, Any]) -> None:
            try:
                await broker.publish(message, RECORDS, persist=True)
            finally:
                room.release()

        for message in models.read(path):
            await room.acquire()
            group.create_task(publish(message))


def people() -> FastStream:
    """Keep what records say, and tell what follows."""
    broker, session = connected(), sessions()
    tell = broker.publisher(queue(EVENTS), persist=True)

    @broker.subscriber(queue(RECORDS))
    async def on_record(message: dict[str, Any]) -> None:
        async with session() as open_session, open_session.begin():
            held = await open_session.get(Fact, (message["entity"], message["key"]))
            if held is None:
                open_session.add(Fact(**message))
            elif held.version < message["version"]:
                held.version, held.data = message["version"], message["data"]
        event = models.event_of(message)
        if event is not None:
            await tell.publish(event)

    return FastStream(broker, logger=None)


def desire() -> FastStream:
    """Keep what the LMS should hold."""
    broker, session = connected(), sessions()

    @broker.subscriber(queue(EVENTS))
    async def on_event(event: dict[str, Any]) -> None:
        async with session() as open_session, open_session.begin():
            held = await open_session.get(Desired, (event["person_id"], event["key"]))
            if held is None:
                open_session.add(Desired(**event))
            elif held.version < event["version"]:
                held.version, held.data = event["version"], event["data"]

    return FastStream(broker, logger=None)


def main() -> None:
    role = sys.argv[1]
    if role == "split":
        asyncio.run(split(Path(sys.argv[2])))
    else:
        asyncio.run({"people": people, "desire": desire}[role]().run())


if __name__ == "__main__":
    main()
