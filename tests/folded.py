"""Read models without tables: folded from the store in memory whenever they are asked."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from domain.accounts import AccountState, Role
from domain.media_requests import RequestStatus
from domain.notifications.inbox import inbox_id
from domain.rate_limits import Policy
from projections.accounts import ACCOUNTS, AccountRow
from projections.activity import ACTIVITY, ActivityRow
from projections.alerts import ALERTS, AlertRow
from projections.api_keys import API_KEYS, ApiKeyRow
from projections.deliveries import DELIVERIES, DeliveryRow
from projections.kernel import Key, ReadModel
from projections.media_requests import (
    MEDIA_REQUESTS,
    Mark,
    MediaRequestRow,
    RequestFilter,
    Sort,
)
from projections.media_requests.words import words_of
from projections.notifications import (
    INBOXES,
    MOST_UNREAD,
    NOTIFICATIONS,
    InboxState,
    NotificationRow,
)
from projections.rate_limits import (
    RATE_LIMIT_POLICIES,
    RATE_LIMIT_VIOLATIONS,
    RateLimitPolicyRow,
    RateLimitViolationRow,
)
from projections.sessions import SESSIONS, SessionRow
from tests.fakes import InMemoryEventStore

R = TypeVar("R", bound=msgspec.Struct)


class Folded(Generic[R]):
    """A read model. ``stopped_at`` is a position at which its projector stands still."""

    def __init__(self, store: InMemoryEventStore, model: ReadModel[R]) -> None:
        self.stopped_at: int | None = None
        self.table = model.table
        self._store = store
        self._model = model

    @property
    def position(self) -> int:
        """How far it has come."""
        return self._store.head if self.stopped_at is None else self.stopped_at

    def rows(self) -> dict[Key, R]:
        """Its rows by their keys, in the order in which they came."""
        rows: dict[Key, R] = {}
        for recorded in self._store.events:
            if recorded.position > self.position:
                break
            if isinstance(recorded.event, self._model.events):
                for key in self._model.keys(recorded):
                    row = self._model.fold(rows.get(key), recorded)
                    if row is None:
                        rows.pop(key, None)
                    else:
                        rows[key] = row
        return rows

    def newest(self, order: str, *fits: Callable[[R], bool], before: int | None = None) -> list[R]:
        """The rows that fit, by the column ``order``, newest first, from before a position."""
        found = [row for row in self.rows().values() if all(each(row) for each in fits)]
        behind = [row for row in found if before is None or getattr(row, order) < before]
        return sorted(behind, key=lambda row: getattr(row, order), reverse=True)


class FoldedProgress:
    """The ReadModelProgress of these read models."""

    def __init__(self, *models: Folded[Any]) -> None:
        self._models = {model.table: model for model in models}

    async def reached(self, read_model: str, position: int, within: timedelta) -> bool:
        model = self._models[read_model]
        deadline = asyncio.get_running_loop().time() + within.total_seconds()
        while model.position < position:
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(0.01)
        return True


class FoldedRequests(Folded[MediaRequestRow]):
    def __init__(self, store: InMemoryEventStore) -> None:
        super().__init__(store, MEDIA_REQUESTS)

    async def find(self, request_id: UUID) -> MediaRequestRow | None:
        return self.rows().get((request_id,))

    async def find_all(self, request_ids: Sequence[UUID]) -> Sequence[MediaRequestRow]:
        rows = self.rows()
        return [rows[(of,)] for of in request_ids if (of,) in rows]

    async def at_overseerr(
        self, statuses: Sequence[RequestStatus], *, after: UUID | None, limit: int
    ) -> Sequence[UUID]:
        there = sorted(
            row.id
            for row in self.rows().values()
            if row.overseerr_id is not None and row.status in statuses
        )
        return [of for of in there if after is None or of > after][:limit]

    async def page(
        self, wanted: RequestFilter, sort: Sort, *, after: Mark | None, limit: int
    ) -> Sequence[MediaRequestRow]:
        found = [row for row in self.rows().values() if _fits(row, wanted)]
        turned = sort in {Sort.NEWEST, Sort.UPDATED}

        def mark(row: MediaRequestRow) -> tuple[str, int]:
            of = Mark.of(row, sort)
            return of.title, of.position

        page = sorted(found, key=mark, reverse=turned)
        if after is not None:
            behind = (after.title if sort is Sort.TITLE else "", after.position)
            page = [row for row in page if (mark(row) < behind if turned else mark(row) > behind)]
        return page[:limit]

    async def counts(self, requested_by: UUID | None) -> dict[RequestStatus, int]:
        counted = Counter(
            row.status for row in self.rows().values() if requested_by in {None, row.requested_by}
        )
        return {status: counted[status] for status in RequestStatus}


def _fits(row: MediaRequestRow, wanted: RequestFilter) -> bool:
    sought = None if wanted.words is None else words_of(wanted.words)
    return all(
        (
            wanted.status in {None, row.status},
            wanted.media_type in {None, row.media_type},
            wanted.requested_by in {None, row.requested_by},
            wanted.is4k in {None, row.is4k},
            wanted.awaits_approval in {None, row.awaits_approval},
            wanted.followed_by is None or wanted.followed_by in row.followers,
            sought is None
            or (
                bool(sought)
                and all(any(w.startswith(s) for w in row.words.split()) for s in sought)
            ),
        )
    )


class FoldedAccounts(Folded[AccountRow]):
    def __init__(self, store: InMemoryEventStore) -> None:
        super().__init__(store, ACCOUNTS)

    async def find(self, account_id: UUID) -> AccountRow | None:
        return self.rows().get((account_id,))

    async def active_admins(self) -> Sequence[UUID]:
        return [
            row.id
            for row in self.rows().values()
            if (row.role, row.state) == (Role.ADMIN, AccountState.ACTIVE)
        ]

    async def page(
        self, role: Role | None, state: AccountState | None, *, before: int | None, limit: int
    ) -> Sequence[AccountRow]:
        return self.newest(
            "opened_position",
            lambda row: role in {None, row.role},
            lambda row: state in {None, row.state},
            before=before,
        )[:limit]


class FoldedSessions(Folded[SessionRow]):
    def __init__(self, store: InMemoryEventStore, accounts: FoldedAccounts) -> None:
        super().__init__(store, SESSIONS)
        self._accounts = accounts

    async def open_of(self, account_id: UUID, now: datetime) -> Sequence[SessionRow]:
        account = await self._accounts.find(account_id)
        if account is None or account.state is not AccountState.ACTIVE:
            return []
        return self.newest(
            "opened_position",
            lambda row: row.account_id == account_id,
            lambda row: row.closed_at is None and row.expires_at > now,
            lambda row: row.epoch >= account.epoch or row.id == account.spared,
        )


class FoldedApiKeys(Folded[ApiKeyRow]):
    def __init__(self, store: InMemoryEventStore) -> None:
        super().__init__(store, API_KEYS)

    async def of(self, account_id: UUID) -> Sequence[ApiKeyRow]:
        return self.newest(
            "made_position",
            lambda row: row.account_id == account_id,
            lambda row: row.revoked_at is None,
        )


class FoldedActivity(Folded[ActivityRow]):
    def __init__(self, store: InMemoryEventStore) -> None:
        super().__init__(store, ACTIVITY)

    async def page(
        self, account_id: UUID, *, before: int | None, limit: int
    ) -> Sequence[ActivityRow]:
        return self.newest("position", lambda row: row.account_id == account_id, before=before)[
            :limit
        ]


class FoldedRateLimits:
    def __init__(self, store: InMemoryEventStore) -> None:
        self.limits = Folded(store, RATE_LIMIT_POLICIES)
        self.refused = Folded(store, RATE_LIMIT_VIOLATIONS)

    async def policies(self) -> Sequence[RateLimitPolicyRow]:
        return list(self.limits.rows().values())

    async def violations(
        self, policy: Policy | None, *, before: int | None, limit: int
    ) -> Sequence[RateLimitViolationRow]:
        return self.refused.newest(
            "last_position", lambda row: policy in {None, row.policy}, before=before
        )[:limit]


class FoldedAlerts(Folded[AlertRow]):
    def __init__(self, store: InMemoryEventStore) -> None:
        super().__init__(store, ALERTS)

    async def page(
        self, *, is_open: bool | None, before: int | None, limit: int
    ) -> Sequence[AlertRow]:
        return self.newest(
            "raised_position", lambda row: is_open in {None, row.open}, before=before
        )[:limit]


class FoldedNotifications(Folded[NotificationRow]):
    def __init__(self, store: InMemoryEventStore) -> None:
        super().__init__(store, NOTIFICATIONS)
        self.inboxes = Folded(store, INBOXES)

    async def state(self, account_id: UUID) -> InboxState:
        inbox = self.inboxes.rows().get((inbox_id(account_id),))
        read_up_to = inbox.read_up_to if inbox else 0
        rows = self.newest("position", lambda row: row.account_id == account_id)
        unread = [row for row in rows if row.read_at is None and row.position > read_up_to]
        newest = rows[0].position if rows else 0
        return InboxState(read_up_to, newest, min(len(unread), MOST_UNREAD))

    async def page(
        self, account_id: UUID, *, unread_from: int | None, before: int | None, limit: int
    ) -> Sequence[NotificationRow]:
        return self.newest(
            "position",
            lambda row: row.account_id == account_id,
            lambda row: unread_from is None or (row.read_at is None and row.position > unread_from),
            before=before,
        )[:limit]


class FoldedDeliveries(Folded[DeliveryRow]):
    def __init__(self, store: InMemoryEventStore) -> None:
        super().__init__(store, DELIVERIES)

    async def page(
        self, account_id: UUID, channel_id: UUID | None, *, before: int | None, limit: int
    ) -> Sequence[DeliveryRow]:
        return self.newest(
            "begun_position",
            lambda row: row.account_id == account_id,
            lambda row: channel_id in {None, row.channel_id},
            before=before,
        )[:limit]
