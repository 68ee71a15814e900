from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
from litestar.exceptions import ClientException, InternalServerException, NotAuthorizedException

import application.accounts
import application.ports
import domain.accounts
import domain.media_requests
from application.ports import (
    CatalogueUnavailable,
    CommandIdReused,
    ForwardingFailure,
    PortError,
    Retriable,
    StoreBusy,
    StoreUnavailable,
    UnreadableStream,
    VersionConflict,
)
from application.ports.notifiers import DeliveryFailed, Undeliverable
from domain.accounts import AccountExists
from domain.kernel import DomainError
from domain.rate_limits import RecordedJustNow
from interfaces.http.errors import (
    INTERNAL_ERROR,
    KINDS,
    Refusal,
    headers_of,
    kind_of,
    problem_of,
    refusals,
)
from tests.interfaces.house import House, Person, film
from tests.interfaces.problems import problem

MODULES_THAT_DEFINE_ERRORS = (
    application.accounts,
    application.ports,
    domain.accounts,
    domain.media_requests,
)
STAY_INSIDE = {VersionConflict, ForwardingFailure, RecordedJustNow, DeliveryFailed, Undeliverable}
"""The executor retries the first, the worker records the second, the third is told later, and what
came of a delivery is an answer."""


def descendants(cls: type[Exception]) -> Iterator[type[Exception]]:
    for child in cls.__subclasses__():
        yield child
        yield from descendants(child)


@pytest.mark.parametrize("family", [DomainError, PortError, Refusal])
def test_every_error_a_client_can_meet_has_a_row_of_its_own(family: type[Exception]) -> None:
    known = {
        error
        for error in descendants(family)
        if error.__module__.partition(".")[0] in {"application", "domain", "interfaces"}
    }
    assert known - STAY_INSIDE - {Retriable} <= KINDS.keys()


def test_every_kind_has_a_slug_of_its_own() -> None:
    slugs = [kind.type for kind in {*KINDS.values()}]
    assert len(slugs) == len(set(slugs))
    assert all(slug == slug.lower() and " " not in slug for slug in slugs)


@pytest.mark.parametrize(
    ("error", "slug", "status"),
    [
        (StoreBusy("Later."), "busy", 503),
        (StoreUnavailable("Away."), "store-unavailable", 503),
        (CatalogueUnavailable("Away."), "catalogue-unavailable", 503),
        (AccountExists(), "account-exists", 409),
        (CommandIdReused(), "command-id-reused", 422),
        (UnreadableStream(), "newer-version", 500),
        (ClientException("`limit` of /srv/app.py"), "bad-request", 400),
        (NotAuthorizedException("secret"), "unauthorized", 401),
        (InternalServerException("secret"), "internal-error", 500),
        (KeyError("secret"), "internal-error", 500),
        (VersionConflict("secret"), "internal-error", 500),
    ],
)
def test_an_error_becomes_the_problem_of_its_row(error: Exception, slug: str, status: int) -> None:
    problem = problem_of(error, "an-id")
    assert (problem.type, problem.status, problem.correlation_id) == (slug, status, "an-id")
    assert "secret" not in problem.detail
    assert "/srv" not in problem.detail


def test_a_subclass_has_the_row_of_its_nearest_parent() -> None:
    class FullQueue(StoreBusy):
        pass

    assert kind_of(FullQueue("Later.")).type == "busy"


@pytest.mark.parametrize(
    ("told", "seconds"), [(timedelta(seconds=90), 90), (timedelta(milliseconds=20), 1), (None, 10)]
)
def test_when_to_come_back_is_what_the_world_said_or_a_guess(
    told: timedelta | None, seconds: int
) -> None:
    error = CatalogueUnavailable("Away.", told)
    problem = problem_of(error, "an-id")
    assert problem.retry_after == seconds
    assert headers_of(error, problem)["Retry-After"] == str(seconds)


def test_a_route_documents_its_problems_and_that_it_may_fail() -> None:
    documented = refusals(StoreBusy, StoreUnavailable)
    assert set(documented) == {500, 503}
    assert "`busy`" in documented[503].description
    assert "`store-unavailable`" in documented[503].description
    assert INTERNAL_ERROR.type in documented[500].description


async def test_an_unknown_path_is_a_problem(house: House) -> None:
    async with house.client() as client:
        for path in ("/", "/api/v1", "/api/v1/media/requests/not-an-id", "/%00", "/schema"):
            problem(await client.get(path), 404, "not-found")


async def test_an_unknown_method_is_a_problem_that_names_the_right_ones(house: House) -> None:
    async with house.client() as client:
        answer = await client.delete("/api/v1/media/requests")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_a_body_that_is_too_large_is_refused_unread(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        answer = await client.post("/api/v1/media/request", json=film(note="x" * 65_536))
        problem(answer, 413, "body-too-large")

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b" " * 1024

        answer = await client.post("/api/v1/media/request", content=pieces())
        problem(answer, 413, "body-too-large")


@pytest.mark.parametrize("sent", ["text/plain", "application/x-www-form-urlencoded", "json", None])
async def test_a_body_of_another_type_is_refused(
    house: House, alice: Person, sent: str | None
) -> None:
    headers = {} if sent is None else {"Content-Type": sent}
    async with house.client(alice) as client:
        answer = await client.post("/api/v1/media/request", content=b"{}", headers=headers)
    problem(answer, 415, "unsupported-media-type")


async def test_the_type_of_a_body_may_name_its_charset(house: House, alice: Person) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    body = b'{"mediaType": "movie", "tmdbId": 603}'
    async with house.client(alice) as client:
        answer = await client.post("/api/v1/media/request", content=body, headers=headers)
    assert answer.status_code == 201


async def test_a_body_that_is_no_json_is_told_where(house: House, alice: Person) -> None:
    headers = {"Content-Type": "application/json"}
    async with house.client(alice) as client:
        answer = await client.post("/api/v1/media/request", content=b'{"a": ,}', headers=headers)
        body = problem(answer, 400, "malformed-json")
        assert body["detail"] == "It is malformed at byte 6."
        empty = await client.post("/api/v1/media/request", headers=headers)
    assert problem(empty, 400, "malformed-json")["detail"] == "It is empty."


async def test_a_body_that_is_cut_off_is_no_error_of_ours(house: House, alice: Person) -> None:
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/v1/media/request",
        "query_string": b"",
        "client": None,
        "headers": [(b"authorization", f"Bearer {alice.token}".encode())],
    }
    await house.app(scope, receive, send)  # pyright: ignore[reportArgumentType] - a bare scope
    assert sent[0]["status"] == 400


async def test_a_forged_host_is_refused(house: House) -> None:
    async with house.client() as client:
        answer = await client.get("/health/live", headers={"Host": "a/b@c"})
    problem(answer, 400, "bad-request")


async def test_the_address_of_the_socket_says_what_it_speaks(house: House) -> None:
    async with house.client() as client:
        answer = await client.get("/api/v1/ws")
    problem(answer, 426, "upgrade-required")
    assert answer.headers["upgrade"] == "websocket"
