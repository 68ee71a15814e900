from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.kernel import Unreadable
from domain.media_requests import (
    ForwardingAbandoned,
    ForwardingFailed,
    ForwardingProblem,
    Media,
    MediaRequested,
    MediaRequestEvent,
    MediaRequestForwarded,
    MediaType,
)
from interfaces.wording import in_words

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
