"""Between events and the bytes in the store.

A stored event is one JSON object, ``{"metadata": {…}, "data": {"type": tag, …}}``. The topic beside
it is the tag, with ``@<version>`` from version 2 on, so the common case needs no look into the
bytes to choose a decoder: every (tag, current version) has one typed decoder.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from domain.catalog import EVENTS, tag_of
from domain.kernel import Event, Metadata, Recorded, Unreadable
from infrastructure.event_store.upcasters import UPCASTERS, Upcaster

E = TypeVar("E", bound=Event)


class Envelope(msgspec.Struct, Generic[E], frozen=True):
    """What is stored of an event beside its place."""

    metadata: Metadata
    data: E


class _Described(msgspec.Struct, frozen=True):
    """The part of an envelope that every version of this code can read."""

    metadata: Metadata
    data: msgspec.Raw


class EventCodec:
    """Encodes today's events and decodes those of every version so far."""

    def __init__(
        self,
        events: Mapping[str, type[Event]] = EVENTS,
        upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS,
    ) -> None:
        self._topics = {event: topic_of(tag, event.version) for tag, event in events.items()}
        self._events = {
            topic_of(tag, version): event
            for tag, event in events.items()
            for version in range(1, event.version + 1)
        }
        self._decoders: dict[str, Callable[[bytes], Envelope[Any]]] = {
            topic_of(tag, event.version): msgspec.json.Decoder(Envelope[event]).decode
            for tag, event in events.items()
        }
        for tag, event in events.items():
            for version in range(1, event.version):
                self._decoders[topic_of(tag, version)] = _upcasting(event, version, upcasters)
        self._encode = msgspec.json.Encoder().encode

    def topics_except(self, events: Collection[type[Event]]) -> list[str]:
        """The topics, in all versions so far, of every event but these."""
        return [topic for topic, event in self._events.items() if event not in events]

    def encode(self, metadata: Metadata, event: Event) -> tuple[str, bytes]:
        """The topic and the bytes of an event."""
        return self._topics[type(event)], self._encode(Envelope(metadata, event))

    def decode(
        self, position: int, stream_id: UUID, version: int, topic: str, state: bytes
    ) -> Recorded[Event]:
        """The event at its place; an Unreadable one where this version knows no such event."""
        decoder = self._decoders.get(topic)
        if decoder is None:
            return _unreadable(position, stream_id, version, topic, state, "unknown event")
        try:
            envelope = decoder(state)
        except (msgspec.DecodeError, LookupError, TypeError, ValueError) as error:
            return _unreadable(position, stream_id, version, topic, state, str(error))
        return Recorded(position, stream_id, version, envelope.metadata, envelope.data)


def topic_of(tag: str, version: int) -> str:
    """What stands in the store for one version of an event."""
    return tag if version == 1 else f"{tag}@{version}"


def _upcasting(
    event: type[E], stored: int, upcasters: Mapping[tuple[str, int], Upcaster]
) -> Callable[[bytes], Envelope[E]]:
    """A decoder that takes ``data`` through every step from ``stored`` to today's version."""
    tag = tag_of(event)
    steps = [upcasters[tag, version] for version in range(stored, event.version)]

    def decode(state: bytes) -> Envelope[E]:
        described = msgspec.json.decode(state, type=_Described)
        data: dict[str, Any] = msgspec.json.decode(described.data)
        for step in steps:
            data = step(data)
        return Envelope(described.metadata, msgspec.convert(data, event))

    return decode


def _unreadable(
    position: int, stream_id: UUID, version: int, topic: str, state: bytes, reason: str
) -> Recorded[Event]:
    try:
        metadata = msgspec.json.decode(state, type=_Described).metadata
    except msgspec.DecodeError:
        metadata = _NOBODY
    return Recorded(position, stream_id, version, metadata, Unreadable(topic, reason))


_NOBODY = Metadata(
    event_id=UUID(int=0),
    at=datetime.fromtimestamp(0, UTC),
    actor="unknown",
    correlation_id="unknown",
    command_id=UUID(int=0),
)
