"""What the outside reaches: use cases, queries and streams, each by the narrowest type needed."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from application.accounts import Accounts
from application.admission import Admission
from application.alerts import Alerts
from application.api_keys import ApiKeys
from application.media_requests import MediaRequests
from application.notifications import Choices, Delivering, Inboxes
from application.ports import (
    Clock,
    EventFeed,
    Ids,
    LastUses,
    MediaCatalogue,
    PersonalData,
    Pseudonym,
    ReadModelProgress,
)
from application.ports.errors import ErrorLog
from application.ports.idempotency import IdempotencyKeys
from application.ports.metrics import Exposition, Metrics
from application.quotas import PersonsQuotas
from application.rate_limits import RateLimits
from application.setup import Setup
from application.sign_in import SignIn
from application.standings import Standings
from application.upstream_news import UpstreamNews
from interfaces.queries import (
    AccountList,
    ActivityList,
    AlertList,
    ApiKeyList,
    DeliveryList,
    NotificationList,
    RateLimitList,
    RequestQueries,
    SessionList,
)


class Part(Protocol):
    """How one part of the house is, as of now."""

    @property
    def name(self) -> str:
        """Such as ``postgres``."""
        ...

    @property
    def ok(self) -> bool:
        """Whether it does its work."""
        ...

    @property
    def detail(self) -> str:
        """In a few words that anybody may read: no host, no path."""
        ...

    @property
    def milliseconds(self) -> float:
        """How long it took to find out."""
        ...


class Health(Protocol):
    """Whether the parts that an answer depends on do their work."""

    async def check(self) -> Sequence[Part]:
        """Every part, asked now: PostgreSQL, Redis, the lag of the projector; never raises."""
        ...


class Doors(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that HTTP and the live streams stand on."""

    # Who comes in
    admission: Admission
    standings: Standings
    rate_limits: RateLimits
    pseudonym: Pseudonym
    overseerr_secret: str | None
    # What can be done
    sign_in: SignIn
    setup: Setup
    accounts: Accounts
    api_keys: ApiKeys
    alerts: Alerts
    media_requests: MediaRequests
    quotas: PersonsQuotas
    upstream_news: UpstreamNews
    choices: Choices
    inboxes: Inboxes
    delivering: Delivering
    # What can be seen
    catalogue: MediaCatalogue
    request_queries: RequestQueries
    account_queries: AccountList
    session_queries: SessionList
    api_key_queries: ApiKeyList
    activity_queries: ActivityList
    rate_limit_queries: RateLimitList
    alert_queries: AlertList
    notification_queries: NotificationList
    delivery_queries: DeliveryList
    error_log: ErrorLog
    personal_data: PersonalData
    last_uses: LastUses
    idempotency: IdempotencyKeys
    feed: EventFeed
    progress: ReadModelProgress
    # How it goes
    health: Health
    metrics: Metrics
    exposition: Exposition
    clock: Clock
    ids: Ids
