"""The application that a server runs: HTTP behind the edge, WebSocket beside it."""

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.types import Receive, Scope, Send

from interfaces.doors import Doors
from interfaces.http import (
    admin_errors,
    alerts,
    api_keys,
    auth,
    channels,
    health,
    live,
    media_requests,
    metrics,
    notifications,
    own_account,
    quotas,
    rate_limits,
    request_export,
    request_history,
    request_steps,
    sessions,
    titles,
    users,
    webhooks,
)
from interfaces.http.answers import Answer
from interfaces.http.call import Call
from interfaces.http.documentation import documentation
from interfaces.http.edge import Edge
from interfaces.http.entrance import enter
from interfaces.http.errors import answer_problem
from interfaces.http.openapi import SIGNED_IN
from interfaces.realtime.websocket import LiveSockets

MAX_BODY = 64 * 1024
"""In bytes; the longest body of any route is a tenth of it."""


ROUTES = (
    Router(
        "/api/v1",
        route_handlers=[
            auth.login,
            auth.set_up,
            auth.start_pin,
            auth.poll_pin,
            auth.refresh,
            live.upgrade,
            webhooks.hear_overseerr,
        ],
        before_request=enter,
    ),
    Router(
        "/api/v1",
        route_handlers=[
            own_account.me,
            own_account.change_me,
            own_account.change_password,
            auth.logout,
            sessions.list_sessions,
            sessions.close_session,
            sessions.list_activity,
            api_keys.list_api_keys,
            api_keys.make_api_key,
            api_keys.revoke_api_key,
            users.list_users,
            users.show_user,
            users.change_user,
            users.suspend_user,
            users.restore_user,
            users.sign_out_user,
            users.forget_user,
            rate_limits.list_rate_limits,
            rate_limits.change_rate_limit,
            admin_errors.list_errors,
            alerts.list_alerts,
            alerts.acknowledge_alert,
            notifications.list_notifications,
            notifications.read_notification,
            notifications.read_all_notifications,
            notifications.list_deliveries,
            channels.list_channels,
            channels.add_channel,
            channels.change_channel,
            channels.remove_channel,
            channels.test_channel,
            channels.show_preferences,
            channels.change_preferences,
            titles.search_titles,
            titles.show_film,
            titles.show_series,
            media_requests.request_media,
            media_requests.list_requests,
            media_requests.show_request,
            request_history.show_history,
            media_requests.count_requests,
            quotas.show_quota,
            quotas.show_quota_of,
            quotas.change_quota,
            quotas.end_quota_override,
            request_export.export_requests,
            request_steps.follow_request,
            request_steps.unfollow_request,
            request_steps.end_request,
            request_steps.retry_request,
            request_steps.approve_request,
            request_steps.decline_request,
            request_steps.reopen_request,
            request_steps.fulfil_request,
        ],
        before_request=enter,
        security=SIGNED_IN,
    ),
    Router("/", route_handlers=[health.live, health.ready, metrics.metrics]),
)


class Application:
    """An ASGI application. ``drain`` it before its server stops."""

    def __init__(self, http: Litestar, edge: Edge, sockets: LiveSockets) -> None:
        self._http = http
        self._edge = edge
        self._sockets = sockets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak HTTP, WebSocket or the lifespan protocol."""
        if scope["type"] == ScopeType.HTTP:
            await self._edge(scope, receive, send)
        elif scope["type"] == ScopeType.WEBSOCKET:
            await self._sockets(scope, receive, send)
        else:
            await self._http(scope, receive, send)

    async def drain(self) -> None:
        """Ask every live client to go on elsewhere (1001), and take no new ones."""
        await self._sockets.drain()


def build_app(doors: Doors) -> Application:
    """The application on its doors."""
    documents = documentation(ROUTES)
    # Probes and people look for these with and without the prefix.
    again = Router("/api/v1", route_handlers=[health.live, health.ready, documents])
    http = Litestar(
        [*ROUTES, documents, again],
        state=State({"doors": doors}),
        request_class=Call,
        response_class=Answer,
        request_max_body_size=MAX_BODY,
        exception_handlers={Exception: answer_problem},
        openapi_config=None,
        logging_config=None,
        debug=False,
    )
    return Application(http, Edge(http, doors.metrics), LiveSockets(doors))
