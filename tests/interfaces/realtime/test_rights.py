"""The table of permissions over WebSocket: every topic, every kind of caller, own and others'."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from application.ports import NewEvents
from domain.accounts import AccountSuspended, Role
from domain.api_keys import Scope
from domain.notifications.kinds import NoticeKind
from domain.notifications.settings import Preference
from domain.permissions import Action, Whose
from interfaces.realtime.messages import ACTIONS, Topic
from tests.events import metadata
from tests.fakes import now
from tests.interfaces.callers import (
    ALL_SCOPES,
    KEY_ENDS,
    KINDS,
    SESSION_ENDS,
    Arrive,
    Headers,
    Kind,
    Verdict,
)
from tests.interfaces.house import House, Person, context
from tests.interfaces.realtime.client import Client, connected, served
from tests.interfaces.samples import a_channel, a_notification, a_request, decline

NOT_VALID = (4401, "The token is not valid.")
NOT_SIGNED_IN = (4401, "Authenticate first.")
NOT_ALLOWED = (4403, "Not allowed.")
OVER = (4401, "The session is over.")
CHANGED = (4401, "Your rights have changed.")
SUBSCRIBED = "subscribed"

LET_IN = [
    kind for kind in KINDS if kind.verdict(Action.FOLLOW_EVENTS, Whose.OWN) is Verdict.ALLOWED
]
FOLLOWERS = [kind for kind in LET_IN if not kind.by_cookie]
IN_BROWSERS = [kind for kind in LET_IN if kind.by_cookie]
"""A browser adds cookies whichever site has opened the socket, so they open none."""
AUDITORS = [
    kind for kind in FOLLOWERS if kind.verdict(Action.AUDIT, Whose.OTHERS) is Verdict.ALLOWED
]


@pytest.fixture
async def port(house: House) -> AsyncGenerator[int]:
    async with served(house.app) as port:
        yield port


def token_of(headers: Headers) -> str | None:
    return headers.get("Authorization", "").partition(" ")[2] or None


# Who may subscribe to what


def expected(kind: Kind, headers: Headers, topic: Topic) -> tuple[int, str] | str:
    """What the table says."""
    if not ({"Authorization", "X-Api-Key"} & headers.keys()):
        return NOT_SIGNED_IN
    match kind.verdict(Action.FOLLOW_EVENTS, Whose.OWN):
        case Verdict.UNAUTHENTICATED:
            return NOT_VALID
        case Verdict.FORBIDDEN:
            return NOT_ALLOWED
        case Verdict.ALLOWED:
            pass
    if kind.verdict(ACTIONS[topic], Whose.OWN) is Verdict.ALLOWED:
        return SUBSCRIBED
    return (
        4403,
        f"{'For admins only' if kind.scopes is None else 'Not with this API key'}: {topic}.",
    )


async def outcome(client: Client, topic: Topic) -> tuple[int, str] | str:
    """What comes of the wish to subscribe."""
    with suppress(ConnectionClosed):  # it may have been ended already
        await client.say(type="subscribe", topics=[topic])
    try:
        return (await client.hear())["type"]
    except ConnectionClosed:
        return await client.closed()


@pytest.mark.parametrize("topic", Topic)
async def test_each_caller_may_follow_what_the_table_says_and_nothing_else(
    house: House, port: int, topic: Topic
) -> None:
    right: dict[str, object] = {}
    found: dict[str, object] = {}
    for number, kind in enumerate(KINDS):
        person = await kind.person(house, f"{number}@example.org")
        headers = await kind.show(house, person)
        right[kind.name] = expected(kind, headers, topic)
        async with connected(port, headers=headers) as client:
            found[kind.name] = await outcome(client, topic)
    assert found == right
    assert SUBSCRIBED in right.values()


@pytest.mark.parametrize("way", ["subprotocol", "message"])
async def test_a_token_is_worth_the_same_whichever_way_it_comes(
    house: House, port: int, way: str
) -> None:
    right: dict[str, object] = {}
    found: dict[str, object] = {}
    for number, kind in enumerate(KINDS):
        person = await kind.person(house, f"{number}@example.org")
        headers = await kind.show(house, person)
        token = token_of(headers)
        if token is None:
            continue
        right[kind.name] = expected(kind, headers, Topic.AUDIT)
        offered = ["medianest.v1", f"bearer.{token}"] if way == "subprotocol" else []
        async with connected(port, subprotocols=offered) as client:
            if way == "message":
                await client.say(type="authenticate", token=token)
            found[kind.name] = await outcome(client, Topic.AUDIT)
    assert found == right
    assert SUBSCRIBED in right.values()


@pytest.mark.parametrize("kind", IN_BROWSERS, ids=lambda kind: kind.name)
async def test_a_cookie_opens_no_socket_from_whichever_site(
    house: House, port: int, kind: Kind
) -> None:
    person = await kind.person(house, "browser@example.org")
    headers = await kind.show(house, person)
    for site in ("http://127.0.0.1", "https://other.test"):
        async with connected(port, headers=headers | {"Origin": site}) as client:
            assert await outcome(client, Topic.REQUESTS) == NOT_SIGNED_IN


async def test_the_use_of_a_key_is_noted(house: House, port: int, alice: Person) -> None:
    key = await house.api_key(alice, Scope.READ)
    (row,) = await house.api_key_list.of(alice.id)
    async with connected(port, headers=key) as client:
        await client.subscribe()
    assert row.id in house.last_uses.uses


async def test_a_key_counts_in_its_header_alone(house: House, port: int, alice: Person) -> None:
    key = (await house.api_key(alice, Scope.READ))["X-Api-Key"]
    async with connected(port, headers={"x-api-key": key}) as client:
        await client.subscribe()
    async with connected(port, subprotocols=["medianest.v1", f"bearer.{key}"]) as client:
        assert await client.closed() == NOT_VALID
    async with connected(port, path=f"/api/v1/ws?apiKey={key}&token={alice.token}") as client:
        assert await outcome(client, Topic.REQUESTS) == NOT_SIGNED_IN


# Who receives what


async def happen(house: House, alice: Person, person: Person) -> None:
    """Something of Alice's, and then, at last, something of the person's."""
    for owner in (alice, person):
        await house.forward(await a_request(house, owner))
    await a_request(house, alice)
    await a_request(house, person)


async def hear_until_own(client: Client, person: Person, own: int) -> list[tuple[str, str]]:
    """What is heard up to the last of ``own`` messages about the person's requests, and of whom."""
    heard: list[tuple[str, str]] = []
    while [owner for _, owner in heard].count(str(person.id)) < own:
        message = await client.hear()
        heard.append((message["type"], message["data"]["requestedBy"]))
    return heard


def heard_by(kind: Kind, hers: str, own: str) -> list[tuple[str, str]]:
    """What the table lets one of the kind hear of what happens."""
    if kind.verdict(ACTIONS[Topic.REQUESTS], Whose.OTHERS) is not Verdict.ALLOWED:
        return [("mediaRequestUpdate", own)] * 3
    new, update = "newRequest", "mediaRequestUpdate"
    return [(new, hers), (update, hers), (new, own), (update, own), (new, hers), (new, own)]


async def test_each_caller_hears_of_what_the_table_says_and_of_nothing_else(
    house: House, port: int, alice: Person
) -> None:
    for number, kind in enumerate(FOLLOWERS):
        person = await kind.person(house, f"{number}@example.org")
        headers = await kind.show(house, person)
        right = (kind.name, heard_by(kind, str(alice.id), str(person.id)))
        async with connected(port, headers=headers) as live:
            start = await live.subscribe()
            await happen(house, alice, person)
            assert (kind.name, await hear_until_own(live, person, 3)) == right
        async with connected(port, headers=headers) as late:
            await late.subscribe(position=start)
            assert (kind.name, await hear_until_own(late, person, 3)) == right


async def test_an_auditor_hears_of_everything_that_happens(
    house: House, port: int, alice: Person
) -> None:
    for number, kind in enumerate(AUDITORS):
        person = await kind.person(house, f"{number}@example.org")
        headers = await kind.show(house, person)
        async with connected(port, headers=headers) as client:
            start = await client.subscribe("audit")
            await happen(house, alice, person)
            await house.again(alice.id, alice.email)
            positions = [event.position for event in house.store.events if event.position > start]
            heard = await client.hear_all(len(positions))
        assert [message["position"] for message in heard] == positions
        assert {message["type"] for message in heard} == {"event"}


async def test_each_caller_hears_what_they_were_told_themselves_and_nobody_else(
    house: House, port: int, alice: Person
) -> None:
    for number, kind in enumerate(FOLLOWERS):
        person = await kind.person(house, f"{number}@example.org")
        headers = await kind.show(house, person)
        async with connected(port, headers=headers) as live:
            start = await live.subscribe("notifications")
            await a_notification(house, alice)
            await a_notification(house, person)
            right = [
                str(event.stream_id)
                for event in house.store.events
                if event.position > start and event.event in house.told(person.id)
            ]
            heard = await live.hear_all(len(right))
        async with connected(port, headers=headers) as late:
            await late.subscribe("notifications", position=start)
            assert await late.hear_all(len(right)) == heard
        assert (kind.name, [message["data"]["id"] for message in heard]) == (kind.name, right)
        assert {message["type"] for message in heard} == {"newNotification"}


async def test_what_goes_past_the_inbox_is_no_news_there(
    house: House, port: int, alice: Person
) -> None:
    await a_channel(house, alice)
    silent = {NoticeKind.REQUEST_DECLINED: Preference(inbox=False)}
    await house.choices.prefer(alice.id, silent, context("system:test"))
    async with connected(port, headers=alice.headers) as client:
        await client.subscribe("notifications")
        await decline(house, await a_request(house, alice))
        assert [told.in_inbox for told in house.told(alice.id)] == [False]
        await house.choices.prefer(alice.id, {}, context("system:test"))
        of = await a_notification(house, alice)
        assert (await client.hear())["data"]["id"] == str(of)


# What ends a socket

Happening = Callable[[House, Person], Awaitable[Any]]


async def ends(
    house: House, port: int, person: Person, headers: Headers, what: Happening
) -> tuple[int, str]:
    """How the socket of the person ends when it happens."""
    async with connected(port, headers=headers) as client:
        await client.subscribe()
        await what(house, person)
        return await client.closed()


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("what", SESSION_ENDS.values(), ids=SESSION_ENDS)
async def test_what_ends_a_session_ends_its_sockets(
    house: House, port: int, role: Role, what: Arrive
) -> None:
    person = await house.person("person@example.org", role)
    assert await ends(house, port, person, person.headers, what) == OVER


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("what", KEY_ENDS.values(), ids=KEY_ENDS)
async def test_what_ends_a_key_ends_its_sockets(
    house: House, port: int, role: Role, what: Arrive
) -> None:
    person = await house.person("person@example.org", role)
    key = await house.api_key(person, *ALL_SCOPES)
    assert await ends(house, port, person, key, what) == OVER


@pytest.mark.parametrize("by_key", [False, True])
@pytest.mark.parametrize(("before", "after"), [(Role.USER, Role.ADMIN), (Role.ADMIN, Role.USER)])
async def test_another_role_ends_the_socket_that_had_the_old_one(
    house: House, port: int, before: Role, after: Role, *, by_key: bool
) -> None:
    person = await house.person("person@example.org", before)
    headers = await house.api_key(person, *ALL_SCOPES) if by_key else person.headers

    async def change(house: House, person: Person) -> None:
        await house.accounts.grant(person.id, after, context("system:test"))

    assert await ends(house, port, person, headers, change) == CHANGED


async def test_a_key_that_expires_ends_its_socket(house: House, port: int, alice: Person) -> None:
    soon = now() + timedelta(seconds=0.5)
    _, key, _ = await house.api_keys.make(
        alice.id, "a key", (Scope.READ,), soon, context("system:test")
    )
    async with connected(port, headers={"X-Api-Key": key}) as client:
        await client.subscribe()
        assert await client.closed() == OVER
    assert now() >= soon


async def test_what_another_process_has_done_ends_the_socket_too(
    house: House, port: int, alice: Person
) -> None:
    async def hear_of_it(house: House, person: Person) -> None:
        version = len(await house.store.read_stream(person.id))
        suspended = (metadata(), AccountSuspended())
        new = NewEvents(person.id, version, suspended[0].command_id, [suspended])
        await house.store.append(new)
        house.doors.standings.hear(house.store.events[-1])

    assert await ends(house, port, alice, alice.headers, hear_of_it) == OVER


async def _close_another_session(house: House, person: Person) -> None:
    other = await house.again(person.id, person.email)
    await house.sign_in.close(person.id, other.signed_in.session_id, context("system:test"))


async def _revoke_another_key(house: House, person: Person) -> None:
    await house.api_key(person, Scope.READ)
    newest, *_ = await house.api_key_list.of(person.id)
    await house.api_keys.revoke(person.id, newest.id, context("system:test"))


async def _rename(house: House, person: Person) -> None:
    await house.accounts.rename(person.id, "Somebody", context("system:test"))


async def _suspend_somebody_else(house: House, person: Person) -> None:
    other = await house.person("other@example.org")
    await house.accounts.suspend(other.id, context("system:test"))


async def _grant_what_it_has(house: House, person: Person) -> None:
    await house.accounts.grant(person.id, Role.USER, context("system:test"))


async def _end_all_sessions(house: House, person: Person) -> None:
    await house.accounts.end_sessions(person.id, context("system:test"))


OF_NO_CONCERN: dict[str, Happening] = {
    "another session closed": _close_another_session,
    "another key revoked": _revoke_another_key,
    "another name": _rename,
    "somebody else suspended": _suspend_somebody_else,
    "the same role": _grant_what_it_has,
}


@pytest.mark.parametrize("by_key", [False, True])
@pytest.mark.parametrize("what", OF_NO_CONCERN.values(), ids=OF_NO_CONCERN)
async def test_what_is_of_no_concern_ends_no_socket(
    house: House, port: int, alice: Person, what: Happening, *, by_key: bool
) -> None:
    headers = await house.api_key(alice, Scope.READ) if by_key else alice.headers
    await _is_still_there(house, port, alice, headers, what)


async def test_a_key_outlives_the_sessions_of_its_owner(
    house: House, port: int, alice: Person
) -> None:
    key = await house.api_key(alice, Scope.READ)
    await _is_still_there(house, port, alice, key, _end_all_sessions)


async def _is_still_there(
    house: House, port: int, person: Person, headers: Headers, what: Happening
) -> None:
    async with connected(port, headers=headers) as client:
        await client.subscribe()
        await what(house, person)
        request_id = await a_request(house, person)
        assert (await client.hear())["data"]["id"] == str(request_id)
