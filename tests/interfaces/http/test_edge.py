from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar.types import Receive, Scope, Send
from structlog.contextvars import get_contextvars
from structlog.testing import capture_logs

from interfaces.http.edge import Edge
from tests.interfaces.house import PASSWORD, House, Person, film
from tests.interfaces.problems import problem


async def test_a_sane_correlation_id_is_taken_over(house: House) -> None:
    async with house.client() as client:
        answer = await client.get("/health/live", headers={"X-Correlation-Id": "My.id_1-2"})
    assert answer.headers["x-correlation-id"] == "My.id_1-2"


@pytest.mark.parametrize("sent", ["", "a b", "a" * 65, "x\ty", "<b>", "ä"])
async def test_any_other_correlation_id_is_replaced(house: House, sent: str) -> None:
    async with house.client() as client:
        headers = {b"X-Correlation-Id": sent.encode("latin-1")}
        answer = await client.get("/health/live", headers=headers)
    made = answer.headers["x-correlation-id"]
    assert made != sent
    assert len(made) == 36


async def test_the_correlation_id_is_on_the_event_that_follows(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        await client.post(
            "/api/v1/media/request", json=film(), headers={"X-Correlation-Id": "click-1"}
        )
    metadata = house.store.events[-1].metadata
    assert (metadata.correlation_id, metadata.actor) == ("click-1", f"account:{alice.id}")


@pytest.mark.parametrize(
    ("method", "path", "status", "route"),
    [
        ("GET", "/health/live?", 200, "/health/live"),
        ("GET", "/nowhere?token=secret", 404, None),
        ("DELETE", "/health/live", 405, None),
        ("GET", "/api/v1/media/requests?after=1", 401, "/api/v1/media/requests"),
    ],
)
async def test_every_answer_is_one_log_line_without_its_address(
    house: House, method: str, path: str, status: int, route: str | None
) -> None:
    async with house.client() as client:
        with capture_logs() as lines:
            await client.request(method, path)
    (line,) = lines
    ms = line.pop("ms")
    assert isinstance(ms, float)
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": method,
        "route": route,
        "status": status,
    }


async def test_log_lines_of_a_request_carry_its_id_and_its_account(
    house: House, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []

    async def page(*_: Any, **__: Any) -> list[Any]:
        seen.append(get_contextvars())
        return []

    monkeypatch.setattr(house.requests, "page", page)
    async with house.client(alice) as client:
        await client.get("/api/v1/media/requests", headers={"X-Correlation-Id": "click-2"})
    assert seen == [{"correlation_id": "click-2", "account": str(alice.id)}]
    assert get_contextvars() == {}


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/health/live"), ("GET", "/nowhere"), ("PUT", "/health/live")]
)
async def test_every_answer_has_the_security_headers(house: House, method: str, path: str) -> None:
    async with house.client() as client:
        answer = await client.request(method, path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


async def test_an_unexpected_exception_leaks_nothing_and_is_logged_whole(
    house: House, alice: Person
) -> None:
    house.store.failure = ZeroDivisionError("SELECT password FROM accounts at 10.0.0.1")
    async with house.client(alice) as client:
        with capture_logs() as lines:
            answer = await client.get("/api/v1/auth/me")
    body = problem(answer, 500, "internal-error")
    assert body["detail"] == "Something went wrong on our side."
    assert not {"SELECT", "10.0.0.1", "ZeroDivision", "Traceback"} & set(answer.text.split())
    assert "ZeroDivision" not in answer.text
    failure, access = lines
    assert failure["exc_info"] is house.store.failure
    assert (failure["log_level"], access["status"]) == ("error", 500)


async def test_what_fails_outside_every_route_is_a_problem_too(house: House) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError("at /srv/medianest")

    edge: Any = Edge(broken, house.metrics)
    transport = httpx.ASGITransport(edge)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/")
    assert "/srv" not in answer.text
    problem(answer, 500, "internal-error")
    (noted,) = house.errors.noted
    assert (type(noted[0]), noted[1]) == (ZeroDivisionError, "request failed")


async def test_half_an_answer_is_cut_off_rather_than_ended_as_if_whole(house: House) -> None:
    async def breaks_off(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ZeroDivisionError

    edge: Any = Edge(breaks_off, house.metrics)
    transport = httpx.ASGITransport(edge)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        with pytest.raises(ZeroDivisionError):
            await client.get("/")


async def test_head_answers_like_get_without_the_body(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        got = await client.get("/api/v1/media/requests")
        head = await client.head("/api/v1/media/requests")
        nowhere = await client.head("/nowhere")
        command = await client.head("/api/v1/media/request")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-length", "etag"):
        assert head.headers[name] == got.headers[name]
    assert (nowhere.status_code, nowhere.content) == (404, b"")
    assert (command.status_code, command.headers["allow"]) == (405, "OPTIONS, POST")


async def test_what_the_client_has_already_is_not_sent_again(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        created = await client.post("/api/v1/media/request", json=film())
        for path in ("/api/v1/media/requests", created.headers["location"], "/api/v1/auth/me"):
            first = await client.get(path)
            etag = first.headers["etag"]
            for sent in (etag, f"W/{etag}", f'"other", {etag}', "*"):
                again = await client.get(path, headers={"If-None-Match": sent})
                assert (again.status_code, again.content) == (304, b"")
                assert again.headers["etag"] == etag
                assert "content-type" not in again.headers
            other = await client.get(path, headers={"If-None-Match": '"other"'})
            assert (other.status_code, other.content) == (200, first.content)


async def test_a_change_changes_the_etag(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        created = await client.post("/api/v1/media/request", json=film())
        before = await client.get(created.headers["location"])
        await house.forward(UUID(created.json()["id"]))
        after = await client.get(
            created.headers["location"], headers={"If-None-Match": before.headers["etag"]}
        )
    assert after.status_code == 200
    assert after.json()["status"] == "forwarded"


async def test_tokens_are_not_kept_by_caches_and_lists_are_asked_for_again(
    house: House, alice: Person
) -> None:
    async with house.client(alice) as client:
        login = await client.post(
            "/api/v1/auth/login", json={"email": alice.email, "password": PASSWORD}
        )
        listed = await client.get("/api/v1/media/requests")
    assert login.headers["cache-control"] == "no-store"
    assert "etag" not in login.headers
    assert listed.headers["cache-control"] == "private, no-cache"


async def test_what_must_not_be_kept_has_no_etag_and_is_always_sent(house: House) -> None:
    async with house.client() as client:
        pin = (await client.post("/api/v1/auth/plex/pin")).json()
        polled = await client.get(
            f"/api/v1/auth/plex/pin/{pin['id']}", headers={"If-None-Match": "*"}
        )
    assert (polled.status_code, polled.json()) == (200, {"status": "pending"})
    assert polled.headers["cache-control"] == "no-store"
    assert "etag" not in polled.headers


async def test_options_names_the_methods(house: House) -> None:
    async with house.client() as client:
        answer = await client.options("/health/live")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_headers_that_come_more_than_once_all_come_through(house: House) -> None:
    async def with_cookies(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    edge: Any = Edge(with_cookies, house.metrics)
    transport = httpx.ASGITransport(edge)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


async def test_a_stream_starts_before_its_first_piece(house: House) -> None:
    sent: list[str] = []

    async def streams(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        assert sent == ["http.response.start"]
        await send({"type": "http.response.body", "body": b"data", "more_body": False})

    async def send(message: Any) -> None:
        sent.append(message["type"])

    scope: Any = {"type": "http", "method": "GET", "path": "/", "headers": []}
    edge: Any = Edge(streams, house.metrics)
    await edge(scope, None, send)
    assert sent == ["http.response.start", "http.response.body"]


async def test_an_asset_that_the_client_has_is_not_sent_again(house: House) -> None:
    async with house.client() as client:
        first = await client.get("/docs/assets/swagger-ui.css")
        headers = {"If-None-Match": first.headers["etag"]}
        again = await client.get("/docs/assets/swagger-ui.css", headers=headers)
    assert len(first.content) > 100_000
    assert (again.status_code, again.content) == (304, b"")
