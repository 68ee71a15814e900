"""What this process measures, for Prometheus."""

from litestar import MediaType, Response, get

from domain.permissions import Action
from interfaces.http.call import Call, NoQuery
from interfaces.http.errors import refusals
from interfaces.input import Invalid

TEXT_FORMAT = "text/plain; version=0.0.4"  # Litestar adds the charset


@get(
    "/metrics",
    summary="What this process measures",
    opt={"action": Action.LOOK_FROM_OUTSIDE},
    media_type=MediaType.TEXT,
    responses=refusals(Invalid),
)
async def metrics(request: Call) -> Response[bytes]:
    """For Prometheus, in its text format; of the one process that took the call."""
    request.query(NoQuery)
    return Response(request.doors.exposition.exposition(), media_type=TEXT_FORMAT)
