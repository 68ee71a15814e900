"""What the outside may ask; ``projections`` answers from its tables."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.accounts import AccountState, Role
from domain.media_requests import RequestStatus
from domain.rate_limits import Policy
from projections.accounts import AccountRow
from projections.activity import ActivityRow
from projections.alerts import AlertRow
from projections.api_keys import ApiKeyRow
from projections.deliveries import DeliveryRow
from projections.media_requests import Mark, MediaRequestRow, RequestFilter, Sort
from projections.notifications import InboxState, NotificationRow
from projections.rate_limits import RateLimitPolicyRow, RateLimitViolationRow
from projections.sessions import SessionRow


class RequestQueries(Protocol):
    """What can be asked of the list of requests; see ``MediaRequestQueries``."""

    async def find(self, request_id: UUID) -> MediaRequestRow | None:
        """One request, or ``None``."""
        ...

    async def find_all(self, request_ids: Sequence[UUID]) -> Sequence[MediaRequestRow]:
        """Those of the requests that there are, in no order, in one read."""
        ...

    async def page(
        self, wanted: RequestFilter, sort: Sort, *, after: Mark | None, limit: int
    ) -> Sequence[MediaRequestRow]:
        """The first ``limit`` requests that come ``after`` the mark."""
        ...

    async def counts(self, requested_by: UUID | None) -> dict[RequestStatus, int]:
        """How many requests there are of each status, of one person or of all."""
        ...


class AccountList(Protocol):
    """What can be asked of the list of accounts; see ``AccountQueries``."""

    async def find(self, account_id: UUID) -> AccountRow | None:
        """One account, or ``None``."""
        ...

    async def page(
        self, role: Role | None, state: AccountState | None, *, before: int | None, limit: int
    ) -> Sequence[AccountRow]:
        """The newest ``limit`` accounts, opened before the position ``before``; ``None`` is any."""
        ...


class SessionList(Protocol):
    """What can be asked of the list of sessions; see ``SessionQueries``."""

    async def open_of(self, account_id: UUID, now: datetime) -> Sequence[SessionRow]:
        """The account's sessions that stand at ``now``, newest first."""
        ...


class ApiKeyList(Protocol):
    """What can be asked of the list of API keys; see ``ApiKeyQueries``."""

    async def of(self, account_id: UUID) -> Sequence[ApiKeyRow]:
        """The account's keys that were not revoked, newest first."""
        ...


class ActivityList(Protocol):
    """What can be asked of what happened to accounts; see ``ActivityQueries``."""

    async def page(
        self, account_id: UUID, *, before: int | None, limit: int
    ) -> Sequence[ActivityRow]:
        """The last ``limit`` things that happened to the account before position ``before``."""
        ...


class RateLimitList(Protocol):
    """What can be asked about limits; see ``RateLimitQueries``."""

    async def policies(self) -> Sequence[RateLimitPolicyRow]:
        """The limits that were changed."""
        ...

    async def violations(
        self, policy: Policy | None, *, before: int | None, limit: int
    ) -> Sequence[RateLimitViolationRow]:
        """The ``limit`` last refused, before the position ``before``; ``None`` is any policy."""
        ...


class AlertList(Protocol):
    """What can be asked of the list of alerts; see ``AlertQueries``."""

    async def page(
        self, *, is_open: bool | None, before: int | None, limit: int
    ) -> Sequence[AlertRow]:
        """The newest ``limit`` alerts, raised before the position ``before``; ``None`` is any."""
        ...


class NotificationList(Protocol):
    """What can be asked of inboxes; see ``NotificationQueries``."""

    async def state(self, account_id: UUID) -> InboxState:
        """How the person's inbox stands."""
        ...

    async def page(
        self, account_id: UUID, *, unread_from: int | None, before: int | None, limit: int
    ) -> Sequence[NotificationRow]:
        """The newest ``limit`` of a person, from before the position ``before``.

        With ``unread_from`` only those from behind that position that were not read.
        """
        ...


class DeliveryList(Protocol):
    """What can be asked of the list of deliveries; see ``DeliveryQueries``."""

    async def page(
        self, account_id: UUID, channel_id: UUID | None, *, before: int | None, limit: int
    ) -> Sequence[DeliveryRow]:
        """The newest ``limit`` of a person, begun before a position; ``None`` is any channel."""
        ...
