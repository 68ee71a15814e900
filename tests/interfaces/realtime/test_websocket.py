import asyncio
import random
import socket
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from structlog.testing import capture_logs
from websockets.exceptions import InvalidStatus

from application.media_requests import Wish
from application.ports import StoreUnavailable
from domain.catalog import tag_of
from domain.media_requests import Media, MediaType, media_request_id
from domain.sessions import SessionOpened, SignInMethod
from interfaces.realtime.connection import Terms
from interfaces.realtime.websocket import LiveSockets
from tests.events import new_events
from tests.fakes import new_id, now
from tests.interfaces.house import MATRIX, House, Person, context
from tests.interfaces.realtime.client import Client, connected, served

HURRIED = Terms(
    sign_in_within=timedelta(milliseconds=100),
    ping_every=timedelta(milliseconds=100),
    patience=timedelta(milliseconds=300),
    lag=timedelta(milliseconds=100),
)


@pytest.fixture
async def port(house: House) -> AsyncGenerator[int]:
    async with served(house.app) as port:
        yield port


@pytest.fixture
async def hurried_port(house: House) -> AsyncGenerator[int]:
    async with served(LiveSockets(house.doors, HURRIED), send_buffer=4096) as port:
        yield port


async def request(house: House, person: Person, media: Media = MATRIX, note: str = "") -> UUID:
    request_id, _ = await house.use_cases.request_media(
        Wish(media, note=note or None), person.id, context(f"account:{person.id}")
    )
    return request_id


def film(tmdb_id: int) -> Media:
    return Media(MediaType.MOVIE, tmdb_id)


# Signing in


@pytest.mark.parametrize("way", ["header", "subprotocol", "message"])
async def test_each_way_to_sign_in_works(port: int, house: House, alice: Person, way: str) -> None:
    subprotocols = {
        "header": [],
        "subprotocol": ["medianest.v1", f"bearer.{alice.token}"],
        "message": ["medianest.v1"],
    }[way]
    person = alice if way == "header" else None
    async with connected(port, person, subprotocols=subprotocols) as client:
        if way == "message":
            await client.say(type="authenticate", token=alice.token)
        assert await client.subscribe() == house.store.head
        assert client.subprotocol == ("medianest.v1" if subprotocols else None)
        assert len(client.correlation_id) == 36


@pytest.mark.parametrize("way", ["header", "subprotocol", "message"])
async def test_a_bad_token_ends_the_socket(port: int, alice: Person, way: str) -> None:
    access = msgspec.structs.replace(alice.signed_in.access, token=alice.token[:-4] + "AAAA")
    signed_in = msgspec.structs.replace(alice.signed_in, access=access)
    forged = Person(alice.id, alice.email, signed_in)
    subprotocols = ["medianest.v1", f"bearer.{forged.token}"] if way == "subprotocol" else []
    person = forged if way == "header" else None
    async with connected(port, person, subprotocols=subprotocols) as client:
        if way == "message":
            await client.say(type="authenticate", token=forged.token)
        assert await client.closed() == (4401, "The token is not valid.")


async def test_who_does_not_sign_in_is_not_waited_for(hurried_port: int) -> None:
    async with connected(hurried_port) as client:
        assert await client.closed() == (4401, "No token came in time.")


async def test_nothing_is_said_to_who_has_not_signed_in(port: int) -> None:
    async with connected(port) as client:
        await client.say(type="subscribe", topics=["requests"])
        assert await client.closed() == (4401, "Authenticate first.")


async def test_the_socket_outlives_its_token_and_ends_with_its_session(
    house: House, alice: Person, port: int
) -> None:
    token = house.token_for(alice, timedelta(seconds=1))
    async with connected(port, subprotocols=["medianest.v1", f"bearer.{token}"]) as client:
        await client.subscribe()
        while house.tokens.read(token) is not None:
            await asyncio.sleep(0.02)
        await request(house, alice)
        assert (await client.hear())["type"] == "mediaRequestUpdate"
        await house.sign_in.close(alice.id, alice.signed_in.session_id, context("system:test"))
        assert await client.closed() == (4401, "The session is over.")


async def test_the_socket_ends_when_its_session_expires(
    house: House, alice: Person, port: int
) -> None:
    session_id = new_id()
    opened = SessionOpened(
        alice.id, 0, SignInMethod.PASSWORD, "digest", now(), now() + timedelta(seconds=0.3)
    )
    await house.store.append(new_events(opened, stream=session_id))
    token = house.tokens.issue(alice.id, session_id).token
    async with connected(port, subprotocols=["medianest.v1", f"bearer.{token}"]) as client:
        await client.subscribe()
        assert await client.closed() == (4401, "The session is over.")


async def test_another_path_is_refused(port: int, alice: Person) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connected(port, alice, path="/api/v1/other"):
            pass
    assert refused.value.response.status_code == 403


# Bad messages


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("{", "Bad message"),
        ("[]", "Bad message"),
        ("[" * 10_000, "Bad message"),
        ('{"type": "shout"}', "Bad message"),
        ('{"type": "subscribe"}', "Bad message"),
        ('{"type": "subscribe", "topics": []}', "Bad message"),
        ('{"type": "subscribe", "topics": ["gossip"]}', "Bad message"),
        ('{"type": "subscribe", "topics": ["requests"], "from": -1}', "Bad message"),
        ('{"type": "subscribe", "topics": ["requests"], "since": 1}', "Bad message"),
        ('{"type": "authenticate", "token": "x"}', "Already signed in"),
        (b'{"type": "pong"}', "Messages are short JSON texts."),
        (" " * 20_000, "Messages are short JSON texts."),
    ],
)
async def test_a_bad_message_ends_the_socket(
    port: int, alice: Person, message: str | bytes, reason: str
) -> None:
    async with connected(port, alice) as client:
        await client.say_raw(message)
        code, said = await client.closed()
    assert code == 4400
    assert said.startswith(reason)


async def test_one_subscription_a_socket(port: int, alice: Person) -> None:
    async with connected(port, alice) as client:
        await client.subscribe()
        await client.say(type="subscribe", topics=["requests"])
        assert await client.closed() == (4400, "Already subscribed on this socket.")


async def test_a_position_in_the_future_is_refused(
    hurried_port: int, house: House, alice: Person
) -> None:
    async with connected(hurried_port, alice) as client:
        head = house.store.head
        await client.say(type="subscribe", topics=["requests"], **{"from": head + 1})
        code, reason = await client.closed()
    assert (code, reason) == (4400, f"“from” is in the future; the newest position is {head}.")


async def test_a_position_that_is_heard_of_a_moment_later_is_waited_for(
    port: int, house: House, alice: Person
) -> None:
    soon = house.store.head + 3
    async with connected(port, alice) as client:
        await client.say(type="subscribe", topics=["requests"], **{"from": soon})
        await client.hears_nothing()
        await request(house, alice)
        assert await client.hear() == {
            "type": "subscribed",
            "topics": ["requests"],
            "position": soon,
        }
        await client.hears_nothing()  # the client has seen what stands at its own position


async def test_the_audit_is_for_admins(port: int, alice: Person) -> None:
    async with connected(port, alice) as client:
        await client.say(type="subscribe", topics=["requests", "audit"])
        assert await client.closed() == (4403, "For admins only: audit.")


# What is received


async def test_the_owner_hears_of_their_request_and_nobody_else_does(
    port: int, house: House, alice: Person, bob: Person
) -> None:
    async with connected(port, alice) as hers, connected(port, bob) as his:
        await hers.subscribe()
        await his.subscribe()
        request_id = await request(house, alice)
        await house.forward(request_id)
        asked, forwarded = await hers.hear_all(2)
        await his.hears_nothing()
    recorded = house.store.events[-2]
    assert asked["type"] == forwarded["type"] == "mediaRequestUpdate"
    assert (asked["position"], asked["at"]) == (
        recorded.position,
        recorded.at.isoformat().replace("+00:00", "Z"),
    )
    async with house.client(alice) as client:
        shown = (await client.get(f"/api/v1/media/requests/{request_id}")).json()
    assert forwarded["data"] == shown
    assert asked["data"]["status"] == "pending"
    assert (forwarded["data"]["status"], forwarded["data"]["overseerrId"]) == ("forwarded", 1)


async def test_admins_hear_of_new_requests_and_of_every_update(
    port: int, house: House, alice: Person, admin: Person
) -> None:
    async with connected(port, admin) as client:
        await client.subscribe()
        request_id = await request(house, alice)
        await house.forward(request_id)
        new, update = await client.hear_all(2)
        await client.hears_nothing()
    assert (new["type"], update["type"]) == ("newRequest", "mediaRequestUpdate")
    assert new["data"]["id"] == update["data"]["id"] == str(request_id)
    assert new["data"]["requestedBy"] == str(alice.id)


async def test_the_audit_holds_every_event_without_its_secrets(
    port: int, house: House, alice: Person, admin: Person
) -> None:
    async with connected(port, admin) as client:
        assert await client.subscribe("audit", position=0) == 0
        await request(house, alice)
        entries = await client.hear_all(len(house.store.events))
    assert {entry["type"] for entry in entries} == {"event"}
    assert [entry["data"]["type"] for entry in entries] == [
        tag_of(type(recorded.event)) for recorded in house.store.events
    ]
    told = {entry["data"]["type"]: entry["data"]["data"].keys() for entry in entries}
    assert told["account.opened"] == {"role", "identity"}
    assert told["session.opened"] == {"accountId", "epoch", "method", "openedAt", "expiresAt"}
    last = house.store.events[-1]
    assert entries[-1]["position"] == last.position
    assert entries[-1]["data"] | {"data": {}} == {
        "type": "media_request.requested",
        "streamId": str(last.stream_id),
        "version": 1,
        "eventId": str(last.metadata.event_id),
        "actor": f"account:{alice.id}",
        "correlationId": "test",
        "causationId": None,
        "data": {},
    }


async def test_an_audited_event_comes_before_what_it_means(
    port: int, house: House, alice: Person, admin: Person
) -> None:
    async with connected(port, admin) as client:
        await client.subscribe("audit", "requests")
        await request(house, alice)
        first, second = await client.hear_all(2)
    assert (first["type"], second["type"]) == ("event", "newRequest")
    assert first["position"] == second["position"]


async def test_only_the_topics_asked_for_come(
    port: int, house: House, alice: Person, admin: Person
) -> None:
    async with connected(port, admin) as client:
        await client.subscribe("downloads", "services", "alerts", "notifications")
        await request(house, alice)
        await client.hears_nothing()


async def test_pings_say_how_far_one_has_come(
    hurried_port: int, house: House, alice: Person, bob: Person
) -> None:
    async with connected(hurried_port, bob) as client:
        assert await client.hear() == {"type": "ping"}
        await client.subscribe()
        await request(house, alice)  # not for him, and yet behind him
        assert await client.hear() == {"type": "ping", "position": house.store.head}
        await client.say(type="pong")
        assert (await client.hear())["type"] == "ping"


# Resuming


async def test_what_was_missed_comes_first_as_it_was(
    port: int, house: House, alice: Person
) -> None:
    async with connected(port, alice) as client:
        start = await client.subscribe()
    request_id = await request(house, alice)
    await house.forward(request_id)
    async with connected(port, alice) as client:
        await client.subscribe(position=start)
        asked, forwarded = await client.hear_all(2)
    assert (asked["data"]["status"], forwarded["data"]["status"]) == ("pending", "forwarded")
    async with connected(port, alice) as client:
        await client.subscribe(position=asked["position"])
        assert await client.hear() == forwarded


async def test_a_client_that_comes_and_goes_misses_and_repeats_nothing(
    port: int, house: House, alice: Person, bob: Person, admin: Person
) -> None:
    count = 150
    start = house.store.head

    async def append() -> None:
        for tmdb_id in range(1, count + 1):
            await request(house, alice if tmdb_id % 3 else bob, film(tmdb_id))
            if tmdb_id % 5 == 0:
                await house.forward(media_request_id(film(tmdb_id - 4)))
            await asyncio.sleep(0.002)

    async def follow(person: Person, expected: int) -> list[tuple[int, str]]:
        heard: list[tuple[int, str]] = []
        position = start
        while len(heard) < expected:
            async with connected(port, person) as client:
                await client.subscribe(position=position)
                for _ in range(min(random.randint(1, 40), expected - len(heard))):
                    message = await client.hear()
                    position = message["position"]
                    heard.append((position, message["data"]["requestedBy"]))
        return heard

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(append())
        everything = tasks.create_task(follow(admin, count + count // 5))
        hers = tasks.create_task(follow(alice, 100 + 20))
    events = [recorded for recorded in house.store.events if recorded.position > start]
    assert [position for position, _ in everything.result()] == [
        recorded.position for recorded in events
    ]
    owned = [heard for heard in everything.result() if heard[1] == str(alice.id)]
    assert hers.result() == owned


# Ends


async def test_a_slow_client_is_let_go_and_delays_nobody(
    hurried_port: int, house: House, alice: Person, admin: Person
) -> None:
    with socket.create_connection(("127.0.0.1", hurried_port)) as narrow:
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        async with (
            connected(hurried_port, alice, sock=narrow, max_queue=1) as slow,
            connected(hurried_port, admin) as healthy,
        ):
            await slow.subscribe()
            await healthy.subscribe()
            for tmdb_id in range(1, 401):
                await request(house, alice, film(tmdb_id), note="x" * 500)
            heard = await hear_messages(healthy, 400)
            assert [message["position"] for message in heard] == [
                recorded.position for recorded in house.store.events[-400:]
            ]
            await asyncio.sleep(HURRIED.patience.total_seconds() * 2)
            code, reason = await slow.closed()
    assert (code, reason) == (4408, "Too slow. Resume with “from”.")


async def hear_messages(client: Client, count: int) -> list[dict[str, Any]]:
    """The next messages of events, leaving out pings."""
    heard: list[dict[str, Any]] = []
    while len(heard) < count:
        message = await client.hear()
        if message["type"] != "ping":
            heard.append(message)
    return heard


async def test_a_client_slower_than_a_long_catch_up_is_waited_for(
    hurried_port: int, house: House, alice: Person
) -> None:
    start = house.store.head
    for tmdb_id in range(1, 301):
        await request(house, alice, film(tmdb_id), note="x" * 500)
    async with connected(hurried_port, alice, max_queue=1) as client:
        await client.subscribe(position=start)
        positions: list[int] = []
        while len(positions) < 300:
            (message,) = await hear_messages(client, 1)
            positions.append(message["position"])
            if len(positions) % 50 == 0:
                await asyncio.sleep(0.1)
    assert positions == [recorded.position for recorded in house.store.events[-300:]]


async def test_draining_ends_every_socket_and_takes_no_new_one(
    port: int, house: House, alice: Person, bob: Person
) -> None:
    async with connected(port, alice) as subscribed, connected(port, bob) as idle:
        await subscribed.subscribe()
        draining = asyncio.create_task(house.app.drain())
        assert await subscribed.closed() == (1001, "The server stops. Resume with “from”.")
        assert (await idle.closed())[0] == 1001
        await draining
    async with connected(port, alice) as late:
        assert (await late.closed())[0] == 1001


async def test_a_failing_feed_ends_the_socket_and_leaks_nothing(
    port: int, house: House, alice: Person
) -> None:
    async with connected(port, alice) as client:
        await client.subscribe()
        with capture_logs() as lines:
            house.store.failure = StoreUnavailable("at 10.0.0.1")
            house.store.wake()
            assert await client.closed() == (1011, "Something went wrong on our side.")
            await asyncio.sleep(0.05)
    assert [line["event"] for line in lines] == ["socket failed", "socket closed"]
    assert lines[1]["code"] == 1011


@pytest.mark.parametrize("politely", [True, False])
async def test_a_client_that_leaves_is_one_log_line(
    port: int, house: House, alice: Person, politely: bool
) -> None:
    with capture_logs() as lines:
        async with connected(port, alice) as client:
            await client.subscribe()
            if politely:
                await client.leave()
        await asyncio.sleep(0.05)
    (line,) = lines
    assert line.pop("seconds") >= 0
    assert line == {
        "event": "socket closed",
        "log_level": "info",
        "account": str(alice.id),
        "code": None,
    }
