"""Which events of a request are news, and to whom."""

from typing import Any
from uuid import UUID

import msgspec

from domain.media_requests import (
    ExtensionDeclined,
    ForwardingAbandoned,
    MediaRequest,
    MediaRequestApproved,
    MediaRequestAvailable,
    MediaRequestCancelled,
    MediaRequestDeclined,
    MediaRequested,
    MediaRequestExtended,
    UpstreamDeclined,
    UpstreamFailed,
    UpstreamMissing,
)
from domain.notifications.kinds import NoticeKind

TOLD = (
    MediaRequested,
    MediaRequestExtended,
    MediaRequestApproved,
    MediaRequestDeclined,
    ExtensionDeclined,
    MediaRequestCancelled,
    MediaRequestAvailable,
    ForwardingAbandoned,
    UpstreamDeclined,
    UpstreamFailed,
    UpstreamMissing,
)
"""The events that are told; nobody waits for what the others say."""


class News(msgspec.Struct, frozen=True):
    """What is told to ``people``, and to every admin if ``to_admins``; never to who did it."""

    kind: NoticeKind
    people: tuple[UUID, ...] = ()
    to_admins: bool = False
    done_by: UUID | None = None
    detail: str | None = None
    awaits_approval: bool = False


def news_of(event: Any, before: MediaRequest | None, after: MediaRequest) -> News | None:
    """What ``event`` tells of a request that was and is so."""
    everybody = _hearers(before, after)
    news: News | None = None
    match event:
        case MediaRequested() | MediaRequestExtended():
            news = News(
                NoticeKind.NEW_REQUEST,
                to_admins=True,
                done_by=event.requested_by,
                awaits_approval=event.needs_approval,
            )
        case MediaRequestApproved(by):
            news = News(NoticeKind.REQUEST_APPROVED, everybody, done_by=by)
        case MediaRequestDeclined(by, reason):
            news = News(NoticeKind.REQUEST_DECLINED, everybody, done_by=by, detail=reason)
        case ExtensionDeclined(by, reason):
            people = before.more_by if before else ()
            news = News(NoticeKind.REQUEST_DECLINED, people, done_by=by, detail=reason)
        case UpstreamDeclined():
            news = News(NoticeKind.REQUEST_DECLINED, everybody)
        case MediaRequestCancelled(by, reason):
            news = News(NoticeKind.REQUEST_CANCELLED, everybody, done_by=by, detail=reason)
        case MediaRequestAvailable(tell):
            news = News(NoticeKind.REQUEST_AVAILABLE, tell)
        case ForwardingAbandoned() | UpstreamFailed() | UpstreamMissing():
            news = News(NoticeKind.REQUEST_FAILED, everybody, to_admins=True)
        case _:
            pass
    return news


def _hearers(before: MediaRequest | None, after: MediaRequest) -> tuple[UUID, ...]:
    """Who asks for it or follows it, and who wanted more of it until this moment."""
    wanted_more = before.more_by if before else ()
    people = (after.requested_by, *after.followers, *after.more_by, *wanted_more)
    return tuple(dict.fromkeys(people))
