"""The API process: HTTP and WebSocket on one listening socket."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import aclosing
from functools import partial

from application.admission import Admission
from application.rate_limits import RateLimits, RateLimitViolations
from domain.accounts import AccountForgotten
from domain.kernel import Event, Recorded
from infrastructure.compose import UseCases, new_id, open_use_cases, utc_now
from infrastructure.database import Database, open_database
from infrastructure.errors.log import PostgresErrorLog
from infrastructure.errors.recorder import open_errors
from infrastructure.garbage import collect_seldom
from infrastructure.gate.redis_gate import RedisGate
from infrastructure.health import HealthCheck
from infrastructure.idempotency import PostgresIdempotencyKeys
from infrastructure.last_uses import PostgresLastUses
from infrastructure.loops import keep_running
from infrastructure.metrics import PrometheusMetrics
from infrastructure.redis_alert import RedisAlert
from infrastructure.security.personal_data import Vault
from infrastructure.server import serve
from infrastructure.settings import Settings
from infrastructure.subscriptions.hub import SubscriptionHub
from infrastructure.subscriptions.listeners import Listeners
from interfaces.doors import Doors
from interfaces.http.app import build_app
from projections.accounts import AccountQueries
from projections.activity import ActivityQueries
from projections.alerts import AlertQueries
from projections.api_keys import ApiKeyQueries
from projections.deliveries import DeliveryQueries
from projections.media_requests import MediaRequestQueries
from projections.notifications import NotificationQueries
from projections.rate_limits import RateLimitQueries
from projections.sessions import SessionQueries


async def run(settings: Settings, listener: socket.socket) -> None:
    """Serve on ``listener`` until cancelled."""
    metrics = PrometheusMetrics()
    redis_alert = RedisAlert(metrics, new_id)
    redis_url = settings.required("redis_url")
    async with (
        open_database(settings, "api", connections=8) as database,
        SubscriptionHub(database.url, database.reader) as hub,
        RedisGate(redis_url, on_change=redis_alert.changed) as gate,
        open_use_cases(settings, database, gate=gate, feed=hub) as use_cases,
        open_errors(
            PostgresErrorLog(database.pool),
            "api",
            utc_now,
            new_id,
            sentry_dsn=settings.sentry_dsn,
            alerts=use_cases.alerts,
            metrics=metrics,
        ),
        PostgresLastUses(database.pool) as last_uses,
        aclosing(HealthCheck(database.pool, redis_url)) as health,
        asyncio.TaskGroup() as tasks,
    ):
        limits = RateLimits(use_cases.executor, use_cases.store, settings.limits)
        violations = RateLimitViolations(use_cases.executor, utc_now, new_id)
        listeners = Listeners(
            hub, (use_cases.standings.hear, limits.hear, _forget(use_cases.secrets.vault))
        )
        use_cases.standings.hear_from(listeners.position)
        await limits.load()
        loops = (
            tasks.create_task(keep_running("listeners", listeners.run)),
            tasks.create_task(keep_running("violations", violations.record)),
            tasks.create_task(
                keep_running("redis alert", partial(redis_alert.tell, use_cases.alerts))
            ),
        )
        doors = _doors(
            settings, database, use_cases, hub, limits, violations, gate, metrics, last_uses, health
        )
        app = build_app(doors)
        collect_seldom()
        try:
            await serve(app, listener, before_stop=app.drain)
        finally:
            for loop in loops:
                loop.cancel()


def _doors(
    settings: Settings,
    database: Database,
    use_cases: UseCases,
    hub: SubscriptionHub,
    limits: RateLimits,
    violations: RateLimitViolations,
    gate: RedisGate,
    metrics: PrometheusMetrics,
    last_uses: PostgresLastUses,
    health: HealthCheck,
) -> Doors:
    secrets = use_cases.secrets
    pool = database.pool
    return Doors(
        admission=Admission(
            use_cases.executor,
            gate,
            use_cases.standings,
            limits,
            violations,
            secrets.access_tokens,
            secrets.api_keys,
            secrets.pseudonym,
            last_uses,
            utc_now,
        ),
        standings=use_cases.standings,
        rate_limits=limits,
        pseudonym=secrets.pseudonym,
        overseerr_secret=settings.overseerr_webhook_secret,
        sign_in=use_cases.sign_in,
        setup=use_cases.setup,
        accounts=use_cases.accounts,
        api_keys=use_cases.api_keys,
        alerts=use_cases.alerts,
        media_requests=use_cases.media_requests,
        quotas=use_cases.quotas,
        upstream_news=use_cases.upstream_news,
        choices=use_cases.choices,
        inboxes=use_cases.inboxes,
        delivering=use_cases.delivering,
        catalogue=use_cases.catalogue,
        request_queries=MediaRequestQueries(pool),
        account_queries=AccountQueries(pool),
        session_queries=SessionQueries(pool),
        api_key_queries=ApiKeyQueries(pool),
        activity_queries=ActivityQueries(pool),
        rate_limit_queries=RateLimitQueries(pool),
        alert_queries=AlertQueries(pool),
        notification_queries=NotificationQueries(pool),
        delivery_queries=DeliveryQueries(pool),
        error_log=PostgresErrorLog(pool),
        personal_data=secrets.vault,
        idempotency=PostgresIdempotencyKeys(pool, secrets.vault, secrets.pseudonym),
        last_uses=last_uses,
        feed=hub,
        progress=hub,
        health=health,
        metrics=metrics,
        exposition=metrics,
        clock=utc_now,
        ids=new_id,
    )


def _forget(vault: Vault) -> Callable[[Recorded[Event]], None]:
    """Let go of the key of somebody whom another process has forgotten."""

    def hear(recorded: Recorded[Event]) -> None:
        if isinstance(recorded.event, AccountForgotten):
            vault.drop(recorded.stream_id)

    return hear
