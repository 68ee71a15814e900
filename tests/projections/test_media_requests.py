from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest
from psycopg_pool import AsyncConnectionPool

from domain import media_requests as m
from domain.kernel import Event, Recorded
from domain.media_requests import (
    Episode,
    ForwardingProblem,
    Media,
    MediaType,
    Part,
    RequestStatus,
    media_request_id,
)
from projections.media_requests import (
    Mark,
    MediaRequestQueries,
    MediaRequestRow,
    RequestFilter,
    Sort,
    fold,
)
from projections.media_requests.words import sort_key, words_of
from tests.events import NOON, metadata
from tests.projections.conftest import Projected

ANN, BOB, BOSS = (UUID(int=number) for number in (1, 2, 9))
DUNE = Media(MediaType.MOVIE, 438631)
LATER = NOON + timedelta(hours=1)


def film(number: int, title: str = "Film", by: UUID = ANN, *, is4k: bool = False) -> Event:
    return m.MediaRequested(Media(MediaType.MOVIE, number, is4k), title, by)


async def put(projected: Projected, *events: Event) -> list[UUID]:
    """Each event as the first of its own stream."""
    streams: list[UUID] = []
    for event in events:
        assert isinstance(event, m.MediaRequested)
        streams.append(media_request_id(event.media))
        await projected.put(streams[-1], event)
    return streams


def ids(rows: Sequence[MediaRequestRow]) -> list[UUID]:
    return [row.id for row in rows]


def folded(*events: Event) -> MediaRequestRow:
    row = None
    for number, event in enumerate(events, start=1):
        recorded = Recorded(number, media_request_id(DUNE), number, metadata(), event)
        row = fold(row, recorded)
    assert row is not None
    return row


async def test_a_request_comes_back_from_the_table_as_it_was_folded(
    projected: Projected, pool: AsyncConnectionPool
) -> None:
    media = Media(MediaType.TV, 1396, is4k=True)
    stream = media_request_id(media)
    events = (
        m.MediaRequested(
            media, "Breaking Bad", ANN, 2008, "/p.jpg", 81189, (1, 2), "please",
            (Episode(2, 5),), (1, 2, 3, 4, 5), needs_approval=True,
        ),
        m.MediaRequestApproved(BOSS),
        m.MediaRequestForwarded(7),
        m.MediaRequestFollowed(BOB),
        m.MediaRequestExtended(BOB, (3, 4), (Episode(4, 1),), needs_approval=True),
        m.MediaRequestAvailable((ANN, BOB)),
    )  # fmt: skip
    position = await projected.put(stream, *events)
    found = await MediaRequestQueries(pool).find(stream)
    assert found is not None
    assert (found.status, found.awaits_approval) == (RequestStatus.AVAILABLE, True)
    assert (found.followers, found.told) == ((BOB,), (ANN, BOB))
    assert (found.on_shelf, found.more) == (
        Part((1, 2), (Episode(2, 5),)),
        Part((3, 4), (Episode(4, 1),)),
    )
    assert (found.updated_position, found.version, found.updated_at) == (position, 6, NOON)
    again = None
    for number, event in enumerate(events, start=1):
        at = found.requested_position + number - 1
        again = fold(again, Recorded(at, stream, number, metadata(), event))
    assert found == again


def test_the_row_says_what_went_wrong_and_who_has_decided() -> None:
    asked = m.MediaRequested(DUNE, "Dune", ANN)
    unreachable = ForwardingProblem.UNREACHABLE
    failed = m.ForwardingFailed(1, unreachable, "No answer.", NOON, LATER)
    row = folded(asked, failed)
    assert (row.attempts, row.problem, row.next_attempt_at) == (1, unreachable, LATER)
    row = folded(asked, failed, m.ForwardingAbandoned(2, unreachable, "No answer."))
    assert (row.status, row.problem, row.next_attempt_at) == (
        RequestStatus.FAILED,
        unreachable,
        None,
    )
    row = folded(asked, failed, m.MediaRequestForwarded(7))
    assert (row.problem, row.next_attempt_at) == (None, None)
    row = folded(asked, m.MediaRequestForwarded(7), m.UpstreamMissing(7))
    assert (row.status, row.problem) == (RequestStatus.FAILED, ForwardingProblem.VANISHED)
    row = folded(asked, m.MediaRequestForwarded(7), m.UpstreamFailed(7))
    assert row.problem is ForwardingProblem.FAILED_THERE
    row = folded(asked, failed, m.MediaRequestDeclined(BOSS, "No room."))
    assert (row.decided_by, row.reason, row.problem) == (BOSS, "No room.", None)
    row = folded(asked, m.MediaRequestDeclined(BOSS, "No."), m.MediaRequestReopened(BOSS))
    assert (row.decided_by, row.reason, row.awaits_approval) == (None, None, True)


def test_who_asks_anew_begins_a_new_row() -> None:
    first = m.MediaRequested(DUNE, "Dune", ANN, note="Hers")
    again = folded(first, m.MediaRequestDeclined(BOSS, "No."), film(438631, "Dune", BOB))
    assert (again.requested_by, again.note, again.reason) == (BOB, None, None)
    assert (again.requested_position, again.version) == (3, 3)


def test_what_has_no_beginning_is_told() -> None:
    with pytest.raises(LookupError, match="MediaRequestApproved without a request"):
        folded(m.MediaRequestApproved(BOSS))


# Lists

TITLES = ("The Matrix", "Amélie", "amelie 2", "Zodiac", "12 Monkeys", "Ça")


async def everything(
    queries: MediaRequestQueries, sort: Sort, wanted: RequestFilter, limit: int
) -> list[UUID]:
    """All pages, one after the other."""
    seen: list[UUID] = []
    after: Mark | None = None
    while page := await queries.page(wanted, sort, after=after, limit=limit):
        assert len(page) <= limit
        seen += ids(page)
        after = Mark.of(page[-1], sort)
    return seen


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_each_order_in_pages_of_any_size(
    projected: Projected, pool: AsyncConnectionPool, limit: int
) -> None:
    matrix, amelie, amelie2, zodiac, monkeys, ca = made = await put(
        projected, *(film(number, title) for number, title in enumerate(TITLES, start=1))
    )
    await projected.put(zodiac, m.MediaRequestForwarded(7))
    queries, every = MediaRequestQueries(pool), RequestFilter()
    assert await everything(queries, Sort.NEWEST, every, limit) == made[::-1]
    assert await everything(queries, Sort.OLDEST, every, limit) == made
    by_title = [monkeys, amelie, amelie2, ca, matrix, zodiac]
    assert await everything(queries, Sort.TITLE, every, limit) == by_title
    updated = [zodiac, ca, monkeys, amelie2, amelie, matrix]
    assert await everything(queries, Sort.UPDATED, every, limit) == updated


async def test_titles_that_are_alike_are_all_shown(
    projected: Projected, pool: AsyncConnectionPool
) -> None:
    made = await put(projected, *(film(number, "Same") for number in range(1, 6)))
    seen = await everything(MediaRequestQueries(pool), Sort.TITLE, RequestFilter(), 2)
    assert seen == made


async def test_each_filter_alone_and_together(
    projected: Projected, pool: AsyncConnectionPool
) -> None:
    one, two, three = await put(
        projected, film(1), film(1, by=BOB, is4k=True), film(2, "The Matrix", by=BOB)
    )
    series = m.MediaRequested(Media(MediaType.TV, 1), "Dark", ANN, needs_approval=True)
    (four,) = await put(projected, series)
    await projected.put(one, m.MediaRequestForwarded(7), m.MediaRequestFollowed(BOB))
    queries = MediaRequestQueries(pool)

    async def found(**wanted: object) -> list[UUID]:
        filter_ = msgspec.convert(wanted, RequestFilter)
        return ids(await queries.page(filter_, Sort.OLDEST, after=None, limit=10))

    assert await found() == [one, two, three, four]
    assert await found(status="forwarded") == [one]
    assert await found(media_type="tv") == [four]
    assert await found(requested_by=BOB) == [two, three]
    assert await found(is4k=True) == [two]
    assert await found(is4k=False) == [one, three, four]
    assert await found(awaits_approval=True) == [four]
    assert await found(awaits_approval=False) == [one, two, three]
    assert await found(followed_by=BOB) == [one]
    assert await found(followed_by=ANN) == []
    assert await found(words="mat") == [three]
    assert await found(requested_by=BOB, is4k=False, words="the matrix") == [three]
    assert await found(requested_by=ANN, words="matrix") == []
    first = Mark((await queries.page(RequestFilter(), Sort.OLDEST, after=None, limit=1))[0]
                 .requested_position)  # fmt: skip
    behind = await queries.page(RequestFilter(requested_by=BOB), Sort.OLDEST, after=first, limit=1)
    assert ids(behind) == [two]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("amelie", ["Amélie", "amelie 2"]),
        ("AMÉL 2", ["amelie 2"]),
        ("ca", ["Ça"]),
        ("mat the", ["The Matrix"]),
        ("monk", ["12 Monkeys"]),
        ("atrix", []),
        ("'&|!:*", []),
        ("\\ \"'; --", []),
    ],
)
async def test_words_are_found_by_how_they_begin(
    projected: Projected, pool: AsyncConnectionPool, words: str, found: list[str]
) -> None:
    await put(projected, *(film(number, title) for number, title in enumerate(TITLES, start=1)))
    page = await MediaRequestQueries(pool).page(
        RequestFilter(words=words), Sort.OLDEST, after=None, limit=10
    )
    assert [row.title for row in page] == found


def test_what_is_sorted_and_searched_has_no_case_accents_or_punctuation() -> None:
    assert words_of("L'Été: le “Film” №2_b") == ["l", "ete", "le", "film", "no2", "b"]
    assert sort_key("  WALL·E ") == "wall e"
    assert len(sort_key("word " * 100)) <= 60
    assert len(words_of("x" * 5000)[0]) <= 100


async def test_requests_are_found_by_their_ids(
    projected: Projected, pool: AsyncConnectionPool
) -> None:
    one, two = await put(projected, film(1), film(2))
    queries = MediaRequestQueries(pool)
    assert set(ids(await queries.find_all([one, two, UUID(int=1)]))) == {one, two}
    found = await queries.find(two)
    assert found is not None
    assert found.id == two
    assert await queries.find(UUID(int=1)) is None


async def test_requests_are_counted_by_status(
    projected: Projected, pool: AsyncConnectionPool
) -> None:
    one, _, _ = await put(projected, film(1), film(2), film(3, by=BOB))
    await projected.put(one, m.MediaRequestForwarded(7))
    queries = MediaRequestQueries(pool)
    nothing = dict.fromkeys(RequestStatus, 0)
    all_of_them = {RequestStatus.FORWARDED: 1, RequestStatus.PENDING: 2}
    assert await queries.counts(None) == nothing | all_of_them
    assert await queries.counts(BOB) == nothing | {RequestStatus.PENDING: 1}
