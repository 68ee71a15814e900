"""Whether the service is up, and whether it can do its work."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from litestar import get

from domain.permissions import Action
from interfaces.http.call import Call, NoQuery
from interfaces.http.errors import NotReady, refusals
from interfaces.http.openapi import ETAG, NOT_MODIFIED
from interfaces.input import Invalid
from interfaces.views import PartView


class Live(msgspec.Struct, frozen=True):
    """The process answers."""

    live: Literal[True] = True


class Ready(msgspec.Struct, frozen=True):
    """Every part does its work."""

    parts: Sequence[PartView]
    ready: Literal[True] = True


@get(
    "/health/live",
    summary="Is it up?",
    opt={"action": Action.LOOK_FROM_OUTSIDE},
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid),
)
async def live(request: Call) -> Live:
    """Whether the process answers; a process that does not wants a restart."""
    request.query(NoQuery)
    return Live()


@get(
    "/health/ready",
    summary="Can it work?",
    opt={"action": Action.LOOK_FROM_OUTSIDE},
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, NotReady),
)
async def ready(request: Call) -> Ready:
    """Asks every part now. A 503 names the parts under ``parts`` too."""
    request.query(NoQuery)
    parts = [
        PartView(part.name, part.ok, part.detail, part.milliseconds)
        for part in await request.doors.health.check()
    ]
    if not all(part.ok for part in parts):
        raise NotReady(parts)
    return Ready(parts)
