"""Telling whom it concerns: each person once, as they have chosen at that moment."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from application.effects import Job, TellAbout
from application.execute import Executor
from application.notifications.news import News, news_of
from application.ports import EventStore, UnreadableStream
from domain.accounts import AccountState, accounts
from domain.kernel import History, Unreadable
from domain.media_requests import MediaRequest, RequestStatus, media_requests
from domain.notifications.inbox import Subject, Tell, notification_id, notifications
from domain.notifications.kinds import NoticeKind
from domain.notifications.settings import (
    NotificationSettings,
    notification_settings,
    settings_id,
)


class Admins(Protocol):
    """Who the admins are."""

    async def active_admins(self) -> Sequence[UUID]:
        """Every account that may steer the house now, in no order."""
        ...


class Telling:
    """Draws notifications from what happens to requests."""

    def __init__(self, executor: Executor, store: EventStore, admins: Admins) -> None:
        self._executor = executor
        self._store = store
        self._admins = admins

    async def tell(self, effect: TellAbout, job: Job) -> None:
        """Tell everybody of an event; who has been told is not told again.

        A failure that is over by now is no news any more. Raises what reading and storing raise.
        """
        history = await self._store.read_stream(effect.request_id)
        at, news, request = _news(history, effect.version)
        if news is None or request is None:
            return
        people = dict.fromkeys(news.people)
        if news.to_admins:
            people |= dict.fromkeys(await self._admins.active_admins())
        about = Subject(
            effect.request_id,
            request.title,
            at,
            request.year,
            news.detail,
            news.awaits_approval,
        )
        for person in people:
            if person != news.done_by:
                await self._tell(person, news.kind, about, effect.version, job)

    async def _tell(
        self, person: UUID, kind: NoticeKind, about: Subject, version: int, job: Job
    ) -> None:
        account = await self._executor.state(accounts, person)
        if account is None or account.state is not AccountState.ACTIVE:
            return
        chosen = await self._executor.state(notification_settings, settings_id(person))
        chosen = chosen or NotificationSettings()
        in_inbox, channels = chosen.preference(kind).inbox, chosen.channels_for(kind)
        if not in_inbox and not channels:
            return
        id_ = notification_id(person, about.request_id, version)
        command = Tell(person, kind, about, in_inbox, channels)
        context = job.context("system:notify", f"tell {person}")
        await self._executor.execute(notifications, id_, command, context)


def _news(history: History, version: int) -> tuple[datetime, News | None, MediaRequest | None]:
    """When the event was, what it tells, and the request after it. Raises UnreadableStream."""
    if any(isinstance(recorded.event, Unreadable) for recorded in history):
        raise UnreadableStream
    events = [recorded.event for recorded in history if media_requests.owns(recorded.event)]
    at, told = history[version - 1].at, events[version - 1]
    before = media_requests.fold(events[: version - 1])
    after = media_requests.evolve(before, told)
    if after is None:
        return at, None, None
    news = news_of(told, before, after)
    if news is not None and news.kind is NoticeKind.REQUEST_FAILED:
        now = media_requests.fold(events[version:], after)
        news = news if now and now.status is RequestStatus.FAILED else None
    return at, news, after
