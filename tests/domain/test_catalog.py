# pyright: reportPrivateUsage=false
import json
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from domain import catalog
from domain.catalog import EVENTS, tag_of
from domain.kernel import Decider, Event, Unreadable
from infrastructure.event_store.codec import EventCodec

GOLDEN = Path(__file__).parent.parent / "golden" / "events"
SAMPLES = sorted(GOLDEN.glob("*.json"))


def subclasses(event: type[Event]) -> set[type[Event]]:
    return {event}.union(*(subclasses(sub) for sub in event.__subclasses__()))


def test_every_event_of_the_domain_is_in_the_catalog() -> None:
    named = {event for event in subclasses(Event) if event.__module__.startswith("domain.")}
    assert named - {Event, Unreadable} == set(EVENTS.values())


def test_every_event_version_ever_stored_has_a_golden_sample() -> None:
    wanted = {
        f"{tag}@{version}.json"
        for tag, event in EVENTS.items()
        for version in range(1, event.version + 1)
    }
    assert {sample.name for sample in SAMPLES} == wanted


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_every_golden_sample_decodes_for_ever(sample: Path) -> None:
    tag, _, version = sample.stem.partition("@")
    topic = tag if version == "1" else sample.stem
    recorded = EventCodec().decode(1, UUID(int=1), 1, topic, sample.read_bytes())
    assert type(recorded.event) is EVENTS[tag]
    assert recorded.metadata.actor == "account:00000000-0000-0000-0000-000000000001"
    if int(version) == EVENTS[tag].version:
        stored = json.loads(sample.read_bytes())["data"]
        assert json.loads(msgspec.json.encode(recorded.event)) == stored


def test_a_tag_must_be_given_belong_to_its_stream_and_be_free() -> None:
    class Untagged(Event, frozen=True):
        pass

    class Stray(Event, frozen=True, tag="other.happened"):
        pass

    def decide(_: None, __: None) -> list[Event]:
        return []

    def evolve(_: None, __: Event) -> None:
        return None

    def decider(*events: type[Event]) -> Decider[None, None, Event]:
        return Decider("thing", events, decide, evolve)

    with pytest.raises(TypeError, match="needs tag="):
        tag_of(Untagged)
    build = catalog._events
    with pytest.raises(TypeError, match=r"other\.happened"):
        build((decider(Stray),))
