"""Sends errors to Sentry: what the error log holds of them, and nothing else.

Imported only where a DSN is set: the SDK takes a tenth of a second.
"""

import asyncio
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from sentry_sdk import Client

from application.ports.errors import LoggedError

if TYPE_CHECKING:
    from sentry_sdk._types import Event

CLOSE_SECONDS = 1.0
"""How long a process that stops waits for what is still to be sent."""

_SENT = frozenset(
    {
        "environment",
        "event_id",
        "exception",
        "fingerprint",
        "level",
        "platform",
        "release",
        "sdk",
        "tags",
        "timestamp",
    }
)


class SentryReporter:
    """A client of its own, with none of the integrations that look into requests and variables.

    Sending happens in a thread of the SDK, from a queue of a hundred events.
    """

    def __init__(self, dsn: str) -> None:
        self._client = Client(
            dsn=dsn,
            release=f"medianest@{version('medianest')}",  # else the SDK would ask git
            default_integrations=False,
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            enable_backpressure_handling=False,
            include_local_variables=False,
            include_source_context=False,
            max_breadcrumbs=0,
            send_client_reports=False,
            server_name="",  # else the name of the host
            shutdown_timeout=CLOSE_SECONDS,
            before_send=_only_ours,
        )

    def send(self, error: LoggedError) -> None:
        """Queue one event for ``error``; never waits."""
        self._client.capture_event(_event(error))

    async def aclose(self) -> None:
        """Send what is queued, within CLOSE_SECONDS."""
        await asyncio.to_thread(self._client.close, CLOSE_SECONDS)


def _event(error: LoggedError) -> "Event":
    return {
        "level": "error",
        "fingerprint": [error.fingerprint],
        "timestamp": error.last_at,
        "tags": {
            "correlation_id": error.last_correlation_id or "",
            "caught_in": error.caught_in,
            "process": error.process,
            "times": str(error.count),
        },
        "exception": {
            "values": [
                {
                    "type": error.kind,
                    "value": error.message,
                    "stacktrace": {"frames": [_frame(frame) for frame in error.frames]},
                }
            ]
        },
    }


def _frame(frame: str) -> dict[str, Any]:
    module, function, line = frame.rsplit(":", 2)
    return {"module": module, "function": function, "lineno": int(line), "in_app": True}


def _only_ours(event: "Event", _: dict[str, Any]) -> "Event":
    """The event without what the SDK, in whatever version, adds to it of its own."""
    kept: Any = {name: value for name, value in event.items() if name in _SENT}
    return kept
