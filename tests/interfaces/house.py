"""A whole house in memory behind its doors, for tests of what people reach."""

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

import httpx

from application.effects import ForwardRequest, Job
from application.media_requests import Forwarding, MediaRequests
from application.ports import Title
from application.quotas import PersonsQuotas
from application.upstream_news import UpstreamNews
from domain.media_requests import Media, MediaType
from domain.quotas import Quota
from infrastructure.metrics import PrometheusMetrics
from interfaces.doors import Doors
from interfaces.http.app import Application, build_app
from interfaces.views import PartView
from tests.fakes import (
    InMemoryCatalogue,
    InMemoryErrors,
    InMemoryForwarder,
    InMemoryIdempotencyKeys,
    InMemoryJobs,
    new_id,
)
from tests.folded import (
    FoldedAccounts,
    FoldedActivity,
    FoldedAlerts,
    FoldedApiKeys,
    FoldedDeliveries,
    FoldedNotifications,
    FoldedProgress,
    FoldedRateLimits,
    FoldedRequests,
    FoldedSessions,
)
from tests.notified import Notified
from tests.people import AT_HOME, PASSWORD, SECRET, UNLIMITED, Person, context

__all__ = [
    "AT_HOME",
    "MATRIX",
    "OVERSEERR_SECRET",
    "PASSWORD",
    "SECRET",
    "SEVERANCE",
    "UNLIMITED",
    "Healthy",
    "House",
    "Person",
    "context",
    "film",
    "series",
]

OVERSEERR_SECRET = "the secret of the webhook"
MATRIX = Media(MediaType.MOVIE, 603)
SEVERANCE = Media(MediaType.TV, 95396)


class Healthy:
    """Health as the test says."""

    def __init__(self) -> None:
        self.parts = [
            PartView("postgres", ok=True, detail="answers", milliseconds=0.5),
            PartView("redis", ok=True, detail="answers", milliseconds=0.2),
            PartView("projector", ok=True, detail="0 events behind", milliseconds=0.4),
        ]

    async def check(self) -> Sequence[PartView]:
        return self.parts


class House(Notified):
    """The use cases on players in memory, and the application in front of them."""

    def __init__(self, *, overseerr_secret: str | None = OVERSEERR_SECRET) -> None:
        super().__init__()
        self.overseerr_secret = overseerr_secret
        films = {
            Media(MediaType.MOVIE, number): Title(f"Film {number}") for number in range(1, 600)
        }
        self.catalogue = InMemoryCatalogue(
            films
            | {
                MATRIX: Title("The Matrix", year=1999, poster_path="/matrix.jpg"),
                SEVERANCE: Title("Severance", year=2022, seasons=(0, 1, 2)),
            }
        )
        self.forwarder = InMemoryForwarder()
        self.health = Healthy()
        self.idempotency = InMemoryIdempotencyKeys()
        self.errors = InMemoryErrors()
        self.metrics = PrometheusMetrics()
        self.quota_rules: dict[MediaType, Quota | None] = {}
        self.quotas = PersonsQuotas(self.executor, self.store, self.quota_rules, self.clock)
        self.use_cases = MediaRequests(self.executor, self.store, self.catalogue, self.quotas)
        self.forwarding = Forwarding(self.executor, self.accounts, self.forwarder, self.clock)
        self.jobs = InMemoryJobs()
        self.news = UpstreamNews(self.executor, self.forwarding, self.jobs, new_id)
        self._look()
        self.doors = self._doors()
        self.app: Application = build_app(self.doors)

    def _look(self) -> None:
        """What production reads from tables is folded from the store here."""
        self.requests = FoldedRequests(self.store)
        self.account_list = FoldedAccounts(self.store)
        self.session_list = FoldedSessions(self.store, self.account_list)
        self.api_key_list = FoldedApiKeys(self.store)
        self.activity = FoldedActivity(self.store)
        self.limit_list = FoldedRateLimits(self.store)
        self.alert_list = FoldedAlerts(self.store)
        self.notification_list = FoldedNotifications(self.store)
        self.delivery_list = FoldedDeliveries(self.store)

    def _doors(self) -> Doors:
        return Doors(
            admission=self.admission,
            standings=self.standings,
            rate_limits=self.rate_limits,
            pseudonym=self.pseudonym,
            overseerr_secret=self.overseerr_secret,
            sign_in=self.sign_in,
            setup=self.setup,
            accounts=self.accounts,
            api_keys=self.api_keys,
            alerts=self.alerts,
            media_requests=self.use_cases,
            quotas=self.quotas,
            upstream_news=self.news,
            choices=self.choices,
            inboxes=self.inboxes,
            delivering=self.delivering,
            catalogue=self.catalogue,
            request_queries=self.requests,
            account_queries=self.account_list,
            session_queries=self.session_list,
            api_key_queries=self.api_key_list,
            activity_queries=self.activity,
            rate_limit_queries=self.limit_list,
            alert_queries=self.alert_list,
            notification_queries=self.notification_list,
            delivery_queries=self.delivery_list,
            error_log=self.errors,
            personal_data=self.personal_data,
            last_uses=self.last_uses,
            idempotency=self.idempotency,
            feed=self.store,
            progress=FoldedProgress(
                self.requests,
                self.account_list,
                self.session_list,
                self.api_key_list,
                self.activity,
                self.limit_list.limits,
                self.limit_list.refused,
                self.alert_list,
                self.notification_list,
                self.notification_list.inboxes,
                self.delivery_list,
            ),
            health=self.health,
            metrics=self.metrics,
            exposition=self.metrics,
            clock=self.clock,
            ids=new_id,
        )

    def client(self, person: Person | None = None) -> httpx.AsyncClient:
        """A client of the API, signed in as ``person``."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(cast("Any", self.app)),
            base_url="http://medianest.test",
            headers=person.headers if person else {},
        )

    async def forward(self, request_id: UUID) -> None:
        """Let Overseerr be told, as a worker would."""
        effect = ForwardRequest(request_id)
        await self.forwarding.forward_request(effect, Job(new_id(), effect, "test", new_id()))


def film(tmdb_id: int = 603, **more: Any) -> dict[str, Any]:
    """The body that asks for a film."""
    return {"mediaType": "movie", "tmdbId": tmdb_id, **more}


def series(*seasons: int) -> dict[str, Any]:
    """The body that asks for a series."""
    return {"mediaType": "tv", "tmdbId": SEVERANCE.tmdb_id, "seasons": seasons}
