"""Read models without tables: folded from the store in memory whenever they are asked."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from domain.accounts import AccountState, Role
from domain.rate_limits import Policy
from projections.accounts import ACCOUNTS, AccountRow
from projections.activity import ACTIVITY, ActivityRow
from projections.alerts import ALERTS, AlertRow
from projections.api_keys import API_KEYS, ApiKeyRow
from projections.kernel import Key, ReadModel
from projections.media_requests import MEDIA_REQUESTS, MediaRequestRow, RequestFilter
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

    async def page(
        self, wanted: RequestFilter, *, before: int | None, limit: int
    ) -> Sequence[MediaRequestRow]:
        return self.newest(
            "requested_position",
            lambda row: wanted.status in {None, row.status},
            lambda row: wanted.media_type in {None, row.media_type},
            lambda row: wanted.requested_by in {None, row.requested_by},
            before=before,
        )[:limit]


class FoldedAccounts(Folded[AccountRow]):
    def __init__(self, store: InMemoryEventStore) -> None:
        super().__init__(store, ACCOUNTS)

    async def find(self, account_id: UUID) -> AccountRow | None:
        return self.rows().get((account_id,))

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
