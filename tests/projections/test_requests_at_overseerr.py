"""Which requests a sweep looks at."""

from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from domain import media_requests as m
from domain.kernel import Event
from domain.media_requests import Media, MediaType, RequestStatus, media_request_id
from projections.media_requests import MediaRequestQueries
from tests.projections.conftest import Projected

ANN = UUID(int=1)
UNDER_WAY = (RequestStatus.FORWARDED, RequestStatus.FAILED)


async def put(projected: Projected, number: int, *after: Event) -> UUID:
    media = Media(MediaType.MOVIE, number)
    stream = media_request_id(media)
    await projected.put(stream, m.MediaRequested(media, "Film", ANN), *after)
    return stream


async def test_a_sweep_looks_at_what_overseerr_has_and_nothing_else(
    projected: Projected, pool: AsyncConnectionPool
) -> None:
    there = await put(projected, 1, m.MediaRequestForwarded(1))
    failed_there = await put(projected, 2, m.MediaRequestForwarded(2), m.UpstreamFailed(2))
    await put(projected, 3)
    refused = m.ForwardingAbandoned(1, m.ForwardingProblem.REFUSED, "No.")
    await put(projected, 4, refused)
    available = await put(projected, 5, m.MediaRequestForwarded(5), m.MediaRequestAvailable((ANN,)))
    queries = MediaRequestQueries(pool)

    found = await queries.at_overseerr(UNDER_WAY, after=None, limit=10)
    settled = await queries.at_overseerr((RequestStatus.AVAILABLE,), after=None, limit=10)

    assert list(found) == sorted([there, failed_there])
    assert list(settled) == [available]


async def test_a_sweep_goes_by_pages(projected: Projected, pool: AsyncConnectionPool) -> None:
    there = sorted([await put(projected, n, m.MediaRequestForwarded(n)) for n in range(1, 6)])
    queries = MediaRequestQueries(pool)

    pages: list[list[UUID]] = []
    after: UUID | None = None
    while page := await queries.at_overseerr(UNDER_WAY, after=after, limit=2):
        pages.append(list(page))
        after = page[-1]

    assert pages == [there[:2], there[2:4], there[4:]]
