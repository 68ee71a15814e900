"""What happened to a request, in words."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import get
from litestar.params import FromPath

from domain.accounts import UnknownAccount
from domain.catalog import tag_of
from domain.kernel import Event, History, Recorded
from domain.media_requests import MediaRequested, NotRequested
from domain.permissions import Action, Whose
from interfaces.http.call import Call, ReadQuery
from interfaces.http.errors import NOT_LET_IN, refusals
from interfaces.http.openapi import ETAG, NOT_MODIFIED, asks
from interfaces.input import Invalid
from interfaces.views import public_data, row_after
from interfaces.wording import in_words


class HistoryEntry(msgspec.Struct, frozen=True, rename="camel"):
    """One event of a request. ``type`` names what happened, ``words`` say it to a person.

    ``actor_name`` is what the actor is called, for those who may know: themselves, and admins.
    """

    position: int
    version: int
    at: datetime
    type: str
    actor: str
    actor_name: str | None
    words: str
    data: dict[str, Any]


class MediaRequestHistory(msgspec.Struct, frozen=True):
    """Everything that happened to a request, in order."""

    items: Sequence[HistoryEntry]


@get(
    "/media/requests/{request_id:uuid}/history",
    summary="What happened to a request",
    opt={"action": Action.SEE_REQUEST},
    operation_class=asks(ReadQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, NotRequested, *NOT_LET_IN),
)
async def show_history(request: Call, request_id: FromPath[UUID]) -> MediaRequestHistory:
    """Every event in order: who, when, and what.

    A title may have been asked for several times, one after the other. Who is no admin sees the
    requests that they have asked for or followed.
    """
    request.query(ReadQuery)  # the history is the stream itself, which is never behind
    history = await request.doors.media_requests.history(request_id)
    seen = [recorded for part in _requests(history) if _may_see(request, part) for recorded in part]
    if not seen:
        row = row_after(history[:1])
        if row is None:
            raise NotRequested
        request.require(row.requested_by)
    names = await _names(request, seen)
    return MediaRequestHistory([_entry(recorded, names) for recorded in seen])


def _requests(history: History) -> list[list[Recorded[Any]]]:
    """The history of each request for the title, one after the other."""
    requests: list[list[Recorded[Any]]] = []
    for recorded in history:
        if isinstance(recorded.event, MediaRequested) or not requests:
            requests.append([])
        requests[-1].append(recorded)
    return requests


def _may_see(request: Call, history: History) -> bool:
    row = row_after(history)
    caller = request.caller
    if row is None:
        return False
    return caller.account_id in row.hearers or caller.may(request.action, row.requested_by)


async def _names(request: Call, history: History) -> dict[str, str]:
    """What the actors are called, as far as the caller may know."""
    caller = request.caller
    every = Whose.OTHERS in caller.reach(request.action)
    names: dict[str, str] = {}
    for actor in {recorded.metadata.actor for recorded in history}:
        kind, _, name = actor.partition(":")
        if kind != "account" or not (every or name == str(caller.account_id)):
            continue
        try:
            profile = await request.doors.accounts.profile(UUID(name))
        except UnknownAccount:  # forgotten
            continue
        if profile.name or profile.email:
            names[actor] = profile.name or profile.email or ""
    return names


def _entry(recorded: Recorded[Any], names: dict[str, str]) -> HistoryEntry:
    actor = recorded.metadata.actor
    event: Event = recorded.event
    return HistoryEntry(
        position=recorded.position,
        version=recorded.version,
        at=recorded.at,
        type=tag_of(type(event)),
        actor=actor,
        actor_name=names.get(actor),
        words=in_words(recorded.event),
        data=public_data(event),
    )
