from typing import Any, ClassVar
from uuid import UUID, uuid4

import msgspec
import pytest

from domain.kernel import Event, Unreadable
from infrastructure.event_store.codec import EventCodec
from tests.events import metadata, requested

STREAM = UUID(int=9)


class Renamed(Event, frozen=True, tag="thing.renamed"):
    version: ClassVar[int] = 3
    name: str
    language: str = "en"


def split_title(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "label": data["title"].strip()}


def rename_label(data: dict[str, Any]) -> dict[str, Any]:
    return {"type": data["type"], "name": data["label"]}


codec = EventCodec(
    {"thing.renamed": Renamed},
    {("thing.renamed", 1): split_title, ("thing.renamed", 2): rename_label},
)


def stored(data: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"metadata": metadata(), "data": data})


def test_what_is_encoded_decodes_to_the_same() -> None:
    about, event = metadata(), requested()
    topic, state = EventCodec().encode(about, event)
    recorded = EventCodec().decode(7, STREAM, 3, topic, state)
    assert topic == "media_request.requested@2"
    assert (recorded.position, recorded.stream_id, recorded.version) == (7, STREAM, 3)
    assert (recorded.metadata, recorded.event) == (about, event)


def test_stored_events_read_as_plain_json() -> None:
    _, state = EventCodec().encode(metadata(), requested())
    document = msgspec.json.decode(state)
    assert document["data"]["type"] == "media_request.requested"
    assert document["data"]["media"] == {"mediaType": "movie", "tmdbId": 603, "is4k": False}
    assert document["metadata"]["actor"] == "account:test"


@pytest.mark.parametrize(
    ("topic", "data"),
    [
        ("thing.renamed", {"type": "thing.renamed", "title": " Sun "}),
        ("thing.renamed@2", {"type": "thing.renamed", "label": "Sun"}),
        ("thing.renamed@3", {"type": "thing.renamed", "name": "Sun"}),
    ],
)
def test_older_versions_read_as_today_s(topic: str, data: dict[str, Any]) -> None:
    assert codec.decode(1, STREAM, 1, topic, stored(data)).event == Renamed("Sun", "en")


def test_today_s_version_is_written() -> None:
    assert codec.encode(metadata(), Renamed("Sun"))[0] == "thing.renamed@3"


def test_a_missing_upcaster_is_found_at_the_start() -> None:
    with pytest.raises(KeyError):
        EventCodec({"thing.renamed": Renamed}, {("thing.renamed", 1): split_title})


@pytest.mark.parametrize(
    ("topic", "state", "reason"),
    [
        ("thing.vanished", stored({}), "unknown event"),
        ("thing.renamed@4", stored({"type": "thing.renamed"}), "unknown event"),
        ("thing.renamed@3", stored({"type": "thing.renamed", "name": 5}), "Expected `str`"),
        ("thing.renamed", stored({"type": "thing.renamed"}), "title"),
        ("thing.renamed@3", b"not json", "malformed"),
    ],
)
def test_what_cannot_be_decoded_is_unreadable_and_says_why(
    topic: str, state: bytes, reason: str
) -> None:
    recorded = codec.decode(5, STREAM, 2, topic, state)
    assert isinstance(recorded.event, Unreadable)
    assert recorded.event.topic == topic
    assert reason in recorded.event.reason
    assert recorded.position == 5


def test_an_unreadable_event_keeps_its_metadata() -> None:
    about = metadata(uuid4())
    state = msgspec.json.encode({"metadata": about, "data": {"type": "thing.vanished"}})
    assert codec.decode(1, STREAM, 1, "thing.vanished", state).metadata == about
