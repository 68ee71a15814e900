"""The API process: HTTP and WebSocket on one listening socket."""

import socket
from contextlib import aclosing

from infrastructure.compose import new_id, open_use_cases, utc_now
from infrastructure.database import open_database
from infrastructure.health import HealthCheck
from infrastructure.server import serve
from infrastructure.settings import Settings
from infrastructure.subscriptions.hub import SubscriptionHub
from interfaces.doors import Doors
from interfaces.http.app import build_app
from projections.media_requests import MediaRequestQueries


async def run(settings: Settings, listener: socket.socket) -> None:
    """Serve on ``listener`` until cancelled."""
    async with (
        open_database(settings, "api", connections=8) as database,
        open_use_cases(settings, database) as use_cases,
        SubscriptionHub(database.url, database.reader) as hub,
        aclosing(HealthCheck(database.pool, settings.required("redis_url"))) as health,
    ):
        doors = Doors(
            accounts=use_cases.accounts,
            media_requests=use_cases.media_requests,
            request_queries=MediaRequestQueries(database.pool),
            tokens=use_cases.tokens,
            feed=hub,
            progress=hub,
            health=health,
            clock=utc_now,
            ids=new_id,
        )
        app = build_app(doors)
        await serve(app, listener, before_stop=app.drain)
