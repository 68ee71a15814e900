"""What operators look at: errors, alerts and metrics, each route on its own door alone."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar
from litestar.datastructures import State
from litestar.types import Receive, Scope, Send

from application.alerts import Alerts
from application.execute import Context, Executor
from application.ports.errors import LoggedError
from domain.alerts import alert_id
from infrastructure.metrics import PrometheusMetrics
from interfaces.http.admin_errors import list_errors
from interfaces.http.alerts import acknowledge_alert, list_alerts
from interfaces.http.call import Call
from interfaces.http.errors import answer_problem
from interfaces.http.metrics import metrics
from projections import alerts as read_model
from projections.alerts import ALERTS, AlertRow
from tests.events import new_events
from tests.fakes import InMemoryEventStore, new_id

ANN = UUID(int=1)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class KeptErrors:
    """``ErrorLog`` of a list."""

    def __init__(self, count: int) -> None:
        self.errors = [error(number) for number in range(count)]

    async def page(
        self, *, before: tuple[datetime, str] | None, limit: int
    ) -> Sequence[LoggedError]:
        newest = sorted(self.errors, key=_key, reverse=True)
        return [error for error in newest if before is None or _key(error) < before][:limit]


def _key(error: LoggedError) -> tuple[datetime, str]:
    return (error.last_at, error.fingerprint)


def error(number: int) -> LoggedError:
    at = NOON + timedelta(microseconds=number // 2)
    return LoggedError(
        fingerprint=f"{number:016x}",
        kind="ValueError",
        place="domain.tested:run",
        caught_in="GET /x",
        message="no",
        frames=("domain.tested:run:7",),
        critical=True,
        process="api",
        count=number + 1,
        first_at=NOON,
        last_at=at,
        last_correlation_id="click-1",
    )


class FoldedAlerts:
    """The list of alerts, folded from the store when asked."""

    def __init__(self, store: InMemoryEventStore) -> None:
        self._store = store

    async def page(
        self, *, is_open: bool | None, before: int | None, limit: int
    ) -> Sequence[AlertRow]:
        rows: dict[UUID, AlertRow] = {}
        for recorded in self._store.events:
            if isinstance(recorded.event, ALERTS.events):
                row = read_model.fold(rows.get(recorded.stream_id), recorded)
                assert row is not None
                rows[recorded.stream_id] = row
        found = [
            row
            for row in rows.values()
            if is_open in {None, row.open} and (before is None or row.raised_position < before)
        ]
        return sorted(found, key=lambda row: row.raised_position, reverse=True)[:limit]

    async def reached(self, table: str, position: int, within: timedelta) -> bool:
        assert table == ALERTS.table
        return position <= self._store.head


class House:
    def __init__(self) -> None:
        self.store = InMemoryEventStore()
        self.now = NOON
        self.alerts = Alerts(
            Executor(self.store, lambda: self.now, new_id), self.store, lambda: self.now
        )
        self.errors = KeptErrors(5)
        self.metrics = PrometheusMetrics()
        folded = FoldedAlerts(self.store)
        doors = SimpleNamespace(
            error_log=self.errors,
            alerts=self.alerts,
            alert_queries=folded,
            progress=folded,
            exposition=self.metrics,
            ids=new_id,
        )
        self._app = Litestar(
            [list_errors, list_alerts, acknowledge_alert, metrics],
            state=State({"doors": doors}),
            request_class=Call,
            exception_handlers={Exception: answer_problem},
            openapi_config=None,
            logging_config=None,
        )

    async def _as_ann(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = {"correlation_id": "test"}
        inner: Any = {**scope, "state": state, "user": SimpleNamespace(account_id=ANN)}
        await self._app(inner, receive, send)

    def client(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(cast("Any", self._as_ann))
        return httpx.AsyncClient(transport=transport, base_url="http://medianest.test")

    async def raise_alert(self, subject: str) -> UUID:
        await self.alerts.raise_alert("error", subject, "Oh no", "It broke.", context(), times=3)
        return alert_id("error", subject)


def context() -> Context:
    return Context("system:test", "test", new_id())


@pytest.fixture
def house() -> House:
    return House()


async def pages(client: httpx.AsyncClient, path: str, **query: str | int) -> list[dict[str, Any]]:
    """The items of all pages, fetched as a client would."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await client.get(path, params={**query, **cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        items += page["items"]
        if page["nextCursor"] is None:
            return items
        cursor = {"cursor": page["nextCursor"]}


async def test_errors_are_shown_whole(house: House) -> None:
    async with house.client() as client:
        answer = await client.get("/admin/errors", params={"limit": 1})
    assert answer.json()["items"] == [
        {
            "fingerprint": "0000000000000004",
            "kind": "ValueError",
            "place": "domain.tested:run",
            "caughtIn": "GET /x",
            "message": "no",
            "frames": ["domain.tested:run:7"],
            "critical": True,
            "process": "api",
            "count": 5,
            "firstAt": "2026-05-01T12:00:00Z",
            "lastAt": "2026-05-01T12:00:00.000002Z",
            "firstCorrelationId": None,
            "lastCorrelationId": "click-1",
        }
    ]


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
async def test_errors_come_in_pages_newest_first(house: House, limit: int) -> None:
    async with house.client() as client:
        items = await pages(client, "/admin/errors", limit=limit)
    assert [item["count"] for item in items] == [5, 4, 3, 2, 1]


async def test_alerts_come_in_pages_newest_first_and_by_what_is_over(house: House) -> None:
    for subject in ("a", "b", "c"):
        await house.raise_alert(subject)
    await house.alerts.resolve("error", "b", context())
    async with house.client() as client:

        async def subjects(**query: str | int) -> list[str]:
            return [item["subject"] for item in await pages(client, "/admin/alerts", **query)]

        assert await subjects(limit=1) == ["c", "b", "a"]
        assert await subjects(open="true", limit=1) == ["c", "a"]
        assert await subjects(open="false") == ["b"]
        assert await subjects(after=house.store.head) == ["c", "b", "a"]


async def test_who_has_seen_an_alert_says_so_once(house: House) -> None:
    id_ = await house.raise_alert("a")
    async with house.client() as client:
        answers = [await client.post(f"/admin/alerts/{id_}/acknowledge") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json() == {
        "id": str(id_),
        "kind": "error",
        "subject": "a",
        "title": "Oh no",
        "detail": "It broke.",
        "raisedAt": "2026-05-01T12:00:00Z",
        "lastAt": "2026-05-01T12:00:00Z",
        "times": 3,
        "open": True,
        "version": 2,
        "updatedAt": "2026-05-01T12:00:00Z",
        "acknowledgedBy": str(ANN),
        "acknowledgedAt": "2026-05-01T12:00:00Z",
        "resolvedAt": None,
    }
    assert {answer.headers["X-Position"] for answer in answers} == {str(house.store.head)}


async def test_what_is_no_alert_cannot_be_seen(house: House) -> None:
    request = new_events()
    await house.store.append(request)
    async with house.client() as client:
        for id_ in (request.stream_id, uuid4()):
            answer = await client.post(f"/admin/alerts/{id_}/acknowledge")
            assert (answer.status_code, answer.json()["type"]) == (404, "unknown-alert")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/admin/errors?cursor=made-up", "cursor"),
        ("/admin/errors?cursor=MTI", "cursor"),
        ("/admin/errors?limit=0", "limit"),
        ("/admin/alerts?cursor=%C3%A9", "cursor"),
        ("/admin/alerts?open=perhaps", "open"),
        ("/admin/alerts?colour=red", "colour"),
        ("/metrics?format=json", "format"),
    ],
)
async def test_a_wrong_question_is_told_what_is_wrong(house: House, path: str, field: str) -> None:
    async with house.client() as client:
        answer = await client.get(path)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_metrics_are_told_as_prometheus_reads_them(house: House) -> None:
    house.metrics.call_refused("auth")
    async with house.client() as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'medianest_rate_limit_refusals_total{policy="auth"} 1.0' in answer.text
