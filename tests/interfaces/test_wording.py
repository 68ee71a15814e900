from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from domain.catalog import tag_of
from domain.kernel import Unreadable
from domain.media_requests import (
    CancellingAbandoned,
    CancellingFailed,
    Episode,
    ForwardingAbandoned,
    ForwardingFailed,
    ForwardingProblem,
    ForwardingRetried,
    Media,
    MediaRequestCancelled,
    MediaRequestDeclined,
    MediaRequested,
    MediaRequestEvent,
    MediaRequestExtended,
    MediaRequestForwarded,
    MediaType,
    media_requests,
)
from infrastructure.event_store.codec import EventCodec, topic_of
from interfaces.wording import in_words

GOLDEN = Path(__file__).parent.parent / "golden" / "events"
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SOMEBODY = UUID(int=1)
DUNE = Media(MediaType.MOVIE, 438631)
DARK = Media(MediaType.TV, 70523)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (MediaRequested(DUNE, "Dune", SOMEBODY), "Asked for “Dune”."),
        (
            MediaRequested(Media(MediaType.MOVIE, 438631, is4k=True), "Dune", SOMEBODY, year=2021),
            "Asked for “Dune” (2021) in 4K.",
        ),
        (
            MediaRequested(DARK, "Dark", SOMEBODY, seasons=(1,)),
            "Asked for “Dark”, season 1.",
        ),
        (
            MediaRequested(DARK, "Dark", SOMEBODY, seasons=(1, 3)),
            "Asked for “Dark”, seasons 1, 3.",
        ),
        (
            MediaRequested(DARK, "Dark", SOMEBODY, seasons=(1, 3), episodes=(Episode(3, 4),)),
            "Asked for “Dark”, season 1, episode 3x04.",
        ),
        (
            MediaRequested(DUNE, "Dune", SOMEBODY, needs_approval=True),
            "Asked for “Dune”; it waits for approval.",
        ),
        (MediaRequestExtended(SOMEBODY, (2, 3)), "Asked for more of it: seasons 2, 3."),
        (
            MediaRequestExtended(SOMEBODY, needs_approval=True),
            "Asked for more of it: all; it waits for approval.",
        ),
        (MediaRequestDeclined(SOMEBODY, "No {room}."), "Declined: No {room}."),
        (MediaRequestCancelled(SOMEBODY, "Twice."), "Cancelled: Twice."),
        (MediaRequestCancelled(SOMEBODY), "Cancelled."),
        (ForwardingRetried(SOMEBODY), "Tried again."),
        (ForwardingRetried(), "It is wanted again, and tried again."),
        (
            CancellingFailed(1, ForwardingProblem.UNREACHABLE, "", NOON, NOON),
            (
                "Attempt 1 to end it there failed: Overseerr could not be reached. "
                "The next one is due at 2026-05-01 12:00:00 UTC."
            ),
        ),
        (
            CancellingAbandoned(3, ForwardingProblem.REFUSED, "no"),
            "Overseerr keeps it; given up after attempt 3: Overseerr refused the request.",
        ),
        (MediaRequestForwarded(12), "Overseerr took it as number 12."),
        (
            MediaRequestForwarded(12, already_there=True),
            "Overseerr had it already, as number 12.",
        ),
        (
            ForwardingFailed(2, ForwardingProblem.THROTTLED, "429", NOON, NOON),
            (
                "Attempt 2 failed: Overseerr asked us to slow down. "
                "The next one is due at 2026-05-01 12:00:00 UTC."
            ),
        ),
        (
            ForwardingAbandoned(3, ForwardingProblem.REFUSED, "no"),
            "Given up after attempt 3: Overseerr refused the request.",
        ),
        (
            Unreadable("media_request.followed", "KeyError"),
            "Something that only a newer version of MediaNest understands.",
        ),
    ],
)
def test_an_event_is_said_in_words(event: MediaRequestEvent | Unreadable, words: str) -> None:
    assert in_words(event) == words


@pytest.mark.parametrize("problem", ForwardingProblem)
def test_every_problem_has_words_of_its_own(problem: ForwardingProblem) -> None:
    others = [each for each in ForwardingProblem if each is not problem]
    said = in_words(ForwardingAbandoned(1, problem, ""))
    assert said not in {in_words(ForwardingAbandoned(1, other, "")) for other in others}


@pytest.mark.parametrize("event", media_requests.events)
def test_every_event_has_words_of_its_own(event: type[MediaRequestEvent]) -> None:
    words = in_words(golden(event))
    assert words.endswith(".")
    assert "{" not in words
    assert words not in {in_words(golden(other)) for other in set(media_requests.events) - {event}}


def golden(event: type[MediaRequestEvent]) -> Any:
    """A stored sample of the event."""
    topic = topic_of(tag_of(event), event.version)
    sample = (GOLDEN / f"{tag_of(event)}@{event.version}.json").read_bytes()
    return EventCodec().decode(1, SOMEBODY, 1, topic, sample).event
