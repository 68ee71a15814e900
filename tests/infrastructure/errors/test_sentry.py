"""A real sentry-sdk, and an endpoint that speaks Sentry's protocol as far as the SDK needs it."""

import gzip
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import structlog
from psycopg_pool import AsyncConnectionPool

from infrastructure.errors.log import PostgresErrorLog
from infrastructure.errors.recorder import open_errors
from infrastructure.settings import load
from tests.fakes import new_id, now


class Envelope:
    """What was sent: where to, and the bytes of it."""

    def __init__(self, path: str, body: bytes) -> None:
        self.path = path
        self.body = body
        # The first line is about the envelope, then each item has a line about it and its own.
        self.event: dict[str, Any] = json.loads(body.splitlines()[2])


@contextmanager
def sentry() -> Generator[tuple[str, list[Envelope]]]:
    """Its DSN, and what it was sent."""
    received: list[Envelope] = []

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            received.append(Envelope(self.path, body))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://publickey@127.0.0.1:{server.server_port}/42", received
        finally:
            server.shutdown()
            thread.join()


def fail(password: str) -> None:
    local = f"a local variable with {password}"
    raise ValueError(f"{local!r} of ann@example.org from 203.0.113.9, password={password}")


async def test_a_critical_error_reaches_sentry_with_its_correlation_id_and_no_secret(
    pool: AsyncConnectionPool,
) -> None:
    with sentry() as (dsn, received):
        sentry_dsn = load({"SENTRY_DSN": dsn}).sentry_dsn
        async with open_errors(
            PostgresErrorLog(pool), "api", now, new_id, sentry_dsn=sentry_dsn
        ) as errors:
            with structlog.contextvars.bound_contextvars(
                correlation_id="click-1", account="somebody"
            ):
                for _ in range(3):
                    try:
                        fail("hunter2")
                    except ValueError as error:
                        errors.note(error, "GET /x")
                errors.note(ConnectionError("also unexpected"), "loop")
    assert {envelope.path for envelope in received} == {"/api/42/envelope/"}
    by_kind = {envelope.event["exception"]["values"][0]["type"]: envelope for envelope in received}
    assert len(received) == len(by_kind) == 2
    envelope = by_kind["ValueError"]
    event = envelope.event
    assert event["tags"] == {
        "correlation_id": "click-1",
        "caught_in": "GET /x",
        "process": "api",
        "times": "3",
    }
    assert event["release"].startswith("medianest@")
    for secret in (b"hunter2", b"ann@", b"203.0.113.9", b"somebody", b"a local variable"):
        assert secret not in envelope.body
    assert event.keys() <= {
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


async def test_a_sentry_that_is_away_holds_up_nothing(pool: AsyncConnectionPool) -> None:
    log = PostgresErrorLog(pool)
    dsn = "http://publickey@127.0.0.1:1/42"
    async with open_errors(log, "api", now, new_id, sentry_dsn=dsn) as errors:
        errors.note(ValueError(), "loop")
    assert len(await log.page(before=None, limit=10)) == 1
