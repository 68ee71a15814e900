"""The projector process: the read models and the reactors."""

import asyncio
from importlib import import_module

from application.alerts import Alerts
from application.reactors import REACTORS
from infrastructure.compose import new_id, open_executor, utc_now
from infrastructure.database import open_database
from infrastructure.errors.log import PostgresErrorLog
from infrastructure.errors.recorder import open_errors
from infrastructure.garbage import collect_seldom
from infrastructure.loops import keep_running
from infrastructure.settings import Settings
from infrastructure.subscriptions.hub import SubscriptionHub
from infrastructure.subscriptions.projector import Projector
from infrastructure.subscriptions.reactions import Reaction
from infrastructure.subscriptions.subscriber import Subscriber, Subscription
from infrastructure.supervision import announce_ready
from projections.registry import READ_MODELS


async def run(settings: Settings) -> None:
    """Keep the read models and run the reactors until cancelled.

    Any number of these processes may run; each subscriber has one owner among them.
    """
    async with (
        open_database(settings, "projector", connections=2) as database,
        open_executor(database) as (executor, store),
        open_errors(
            PostgresErrorLog(database.pool),
            "projector",
            utc_now,
            new_id,
            sentry_dsn=settings.sentry_dsn,
            alerts=Alerts(executor, store, utc_now),
        ),
        SubscriptionHub(database.url, database.reader) as hub,
        asyncio.TaskGroup() as group,
    ):

        def follow(subscription: Subscription) -> None:
            subscriber = Subscriber(subscription, database.url, hub)
            group.create_task(keep_running(subscriber.name, subscriber.run))

        for model in READ_MODELS:
            follow(Projector(model))
        announce_ready()
        collect_seldom()
        # taskiq takes half a second to import, which nobody has to wait for.
        tasks = await asyncio.to_thread(import_module, "infrastructure.tasks")
        bell = tasks.WorkerBell(settings.required("redis_url"))
        for reactor in REACTORS:
            follow(Reaction(reactor, bell.ring))
