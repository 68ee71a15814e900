import asyncio
import json
from typing import Any
from uuid import UUID

import msgspec
import pytest

from application.media_requests import Wish
from domain.kernel import Event, History, Recorded, Unreadable
from interfaces.realtime import messages
from interfaces.realtime.messages import Message, Messages, Topic
from tests.interfaces.house import MATRIX, House, Person, context


def body(message: Message) -> dict[str, Any]:
    text = message.frame["text"]
    assert text is not None
    return json.loads(text)


def of_requests(made: tuple[Message, ...]) -> list[dict[str, Any]]:
    return [body(message) for message in made if message.topic is Topic.REQUESTS]


class CountingReads:
    """Counts how often histories are read."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        read = house.use_cases.history

        async def history(request_id: UUID) -> History:
            self.count += 1
            await asyncio.sleep(0)
            return await read(request_id)

        monkeypatch.setattr(house.use_cases, "history", history)


@pytest.fixture
def reads(house: House, monkeypatch: pytest.MonkeyPatch) -> CountingReads:
    return CountingReads(house, monkeypatch)


@pytest.fixture
async def events(house: House, alice: Person) -> list[Recorded[Event]]:
    """A request, and its forwarding."""
    wish = Wish(MATRIX, note="“ä”")
    request_id, _ = await house.use_cases.request_media(wish, alice.id, context("system:test"))
    await house.forward(request_id)
    return house.store.events[-2:]


async def test_a_message_is_made_once_for_everybody(
    house: House, events: list[Recorded[Event]], reads: CountingReads
) -> None:
    shared = Messages(house.use_cases)
    made = await asyncio.gather(*(shared.of(events[1]) for _ in range(50)))
    assert all(each is made[0] for each in made)
    assert reads.count == 1


async def test_a_request_that_was_followed_needs_no_read(
    house: House, events: list[Recorded[Event]], reads: CountingReads
) -> None:
    shared = Messages(house.use_cases)
    statuses = [
        update["data"]["status"]
        for event in events
        for update in of_requests(await shared.of(event))
        if update["type"] == "mediaRequestUpdate"
    ]
    assert statuses == ["pending", "forwarded"]
    assert reads.count == 0


async def test_an_old_event_shows_the_request_as_it_was(
    house: House, events: list[Recorded[Event]]
) -> None:
    shared = Messages(house.use_cases)
    (newest,) = of_requests(await shared.of(events[1]))
    new, update = of_requests(await shared.of(events[0]))
    assert newest["data"]["status"] == "forwarded"
    assert new["data"]["status"] == update["data"]["status"] == "pending"


async def test_what_this_version_cannot_read_is_for_the_audit_alone(
    house: House, events: list[Recorded[Event]]
) -> None:
    unreadable = msgspec.structs.replace(
        events[0], position=99, event=Unreadable("media_request.followed", "at /srv/x.py")
    )
    (only,) = await Messages(house.use_cases).of(unreadable)
    assert only.topic is Topic.AUDIT
    assert body(only)["data"]["type"] == "kernel.unreadable"
    assert body(only)["data"]["data"] == {"topic": "media_request.followed"}


async def test_a_request_whose_beginning_cannot_be_read_is_for_the_audit_alone(
    house: House, events: list[Recorded[Event]]
) -> None:
    beginning = Unreadable("media_request.wished", "")
    house.store.events[-2] = msgspec.structs.replace(events[0], event=beginning)
    (only,) = await Messages(house.use_cases).of(events[1])
    assert only.topic is Topic.AUDIT


async def test_what_is_remembered_is_bounded(
    house: House, events: list[Recorded[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "REMEMBERED_POSITIONS", 2)
    shared = Messages(house.use_cases)
    first = await shared.of(events[0])
    assert await shared.of(events[0]) is first
    for position in (101, 102):
        await shared.of(msgspec.structs.replace(events[0], position=position))
    assert await shared.of(events[0]) is not first
