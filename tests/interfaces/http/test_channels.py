from typing import Any
from uuid import uuid4

import pytest

from application.ports.notifiers import Ntfy, Undeliverable
from domain.accounts import Role
from domain.notifications.kinds import NoticeKind
from domain.notifications.settings import MOST_CHANNELS
from tests.interfaces.house import House, Person, context
from tests.interfaces.problems import problem
from tests.interfaces.samples import a_channel, a_notification

CHANNELS = "/api/v1/notifications/channels"
PREFERENCES = "/api/v1/notifications/preferences"
URL = "https://there.example.org/secret-path"
ADDRESSES: list[dict[str, Any]] = [
    {"type": "webhook", "url": URL, "secret": "secret-of-mine"},
    {"type": "discord", "url": URL},
    {"type": "ntfy", "topic": "secret-topic"},
    {"type": "ntfy", "topic": "secret-topic", "url": URL, "token": "secret-token"},
    {"type": "gotify", "url": URL, "token": "secret-token"},
    {"type": "telegram", "botToken": "1:secret", "chatId": "@secret", "threadId": 7},
    {"type": "email", "to": "secret@example.org"},
]


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address["type"])
async def test_a_channel_is_added_and_its_address_never_comes_back(
    house: House, alice: Person, address: dict[str, Any]
) -> None:
    async with house.client(alice) as client:
        added = await client.post(CHANNELS, json={"name": "Phone", "address": address})
        assert added.status_code == 201
        channel = added.json()
        listed = await client.get(CHANNELS)
        renamed = await client.patch(added.headers["Location"], json={"name": "Old phone"})
    assert channel == {
        "id": channel["id"],
        "name": "Phone",
        "kind": address["type"],
        "on": True,
        "offReason": None,
    }
    assert listed.json() == {"items": [channel]}
    assert renamed.json() == {**channel, "name": "Old phone"}
    for answer in (added, listed, renamed):
        assert "secret" not in answer.text
    assert "secret" not in repr(house.store.events)


@pytest.mark.parametrize(
    ("address", "fields"),
    [
        (None, {"address"}),
        ("mail", {"address"}),
        ({}, {"address.type"}),
        ({"type": "pigeon"}, {"address.type"}),
        ({"type": ["ntfy"]}, {"address.type"}),
        ({"type": "webhook", "url": "ftp://there"}, {"address.url", "address.secret"}),
        ({"type": "discord", "url": "https://there.org/a b"}, {"address.url"}),
        ({"type": "discord", "url": "https://there.org/a\n"}, {"address.url"}),
        ({"type": "ntfy", "topic": ""}, {"address.topic"}),
        ({"type": "ntfy", "topic": "here\n"}, {"address.topic"}),
        ({"type": "email", "to": "me@example.org", "cc": "you"}, {"address.cc"}),
        ({"type": "telegram", "bot_token": "1:a", "chatId": "@a"}, None),
        ({"type": "gotify", "url": URL, "token": 7}, {"address.token"}),
    ],
)
async def test_what_is_wrong_with_an_address_is_named(
    house: House, alice: Person, address: object, fields: set[str] | None
) -> None:
    async with house.client(alice) as client:
        answer = await client.post(CHANNELS, json={"name": "Phone", "address": address})
    told = problem(answer, 400, "validation")
    wanted = {"address.botToken", "address.bot_token"} if fields is None else fields
    assert {error["field"] for error in told["errors"]} == wanted


async def test_only_admins_use_apprise(house: House, alice: Person, admin: Person) -> None:
    wish = {"name": "All", "address": {"type": "apprise", "url": "json://there"}}
    async with house.client(alice) as client:
        told = problem(await client.post(CHANNELS, json=wish), 403, "for-admins-only")
    assert [error["field"] for error in told["errors"]] == ["address.type"]
    async with house.client(admin) as client:
        assert (await client.post(CHANNELS, json=wish)).json()["kind"] == "apprise"


async def test_there_are_only_so_many_channels(house: House, alice: Person) -> None:
    *_, last = [await a_channel(house, alice) for _ in range(MOST_CHANNELS)]
    wish = {"name": "One more", "address": ADDRESSES[2]}
    async with house.client(alice) as client:
        problem(await client.post(CHANNELS, json=wish), 409, "too-many-channels")
        assert (await client.delete(f"{CHANNELS}/{last}")).status_code == 204
        assert (await client.post(CHANNELS, json=wish)).status_code == 201


async def test_a_channel_is_switched_off_and_on(house: House, alice: Person) -> None:
    channel_id = await a_channel(house, alice)
    async with house.client(alice) as client:
        for on in (False, True):
            changed = await client.patch(f"{CHANNELS}/{channel_id}", json={"on": on})
            assert changed.json()["on"] is on
            assert int(changed.headers["X-Position"]) == house.store.head


async def test_another_address_must_be_of_the_same_kind(house: House, alice: Person) -> None:
    channel_id = await a_channel(house, alice)
    async with house.client(alice) as client:
        answer = await client.patch(f"{CHANNELS}/{channel_id}", json={"address": ADDRESSES[1]})
        told = problem(answer, 409, "channel-of-other-kind")
        assert [error["field"] for error in told["errors"]] == ["address.type"]
        moved = await client.patch(f"{CHANNELS}/{channel_id}", json={"address": ADDRESSES[3]})
        assert moved.status_code == 200
        await client.post(f"{CHANNELS}/{channel_id}/test")
    ((address, _),) = house.notifiers[Role.USER].sent
    assert address == Ntfy("secret-topic", URL, "secret-token")


async def test_a_channel_that_was_given_up_says_why(house: House, alice: Person) -> None:
    channel_id = await a_channel(house, alice)
    house.notifiers[Role.USER].failure = Undeliverable("The answer was 404 Not Found.")
    await a_notification(house, alice)
    async with house.client(alice) as client:
        trial = await client.post(f"{CHANNELS}/{channel_id}/test")
        (channel,) = (await client.get(CHANNELS)).json()["items"]
    assert trial.json() == {"delivered": False, "reason": "The answer was 404 Not Found."}
    assert (channel["on"], channel["offReason"]) == (False, "The answer was 404 Not Found.")


async def test_a_channel_is_tried_out(house: House, alice: Person, admin: Person) -> None:
    for person, role in ((alice, Role.USER), (admin, Role.ADMIN)):
        channel_id = await a_channel(house, person)
        async with house.client(person) as client:
            trial = await client.post(f"{CHANNELS}/{channel_id}/test")
        assert trial.json() == {"delivered": True, "reason": None}
        assert [notice.kind for _, notice in house.notifiers[role].sent] == ["test"]


@pytest.mark.parametrize("method", ["PATCH", "DELETE", "POST"])
async def test_a_channel_that_one_does_not_have_is_not_found(
    house: House, alice: Person, bob: Person, method: str
) -> None:
    await a_channel(house, alice)
    for channel_id in (await a_channel(house, bob), uuid4()):
        path = f"{CHANNELS}/{channel_id}" + ("/test" if method == "POST" else "")
        body = {"on": True} if method == "PATCH" else None
        async with house.client(alice) as client:
            problem(await client.request(method, path, json=body), 404, "unknown-channel")


# Preferences


async def test_by_default_all_news_goes_everywhere(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        shown = (await client.get(PREFERENCES)).json()
    assert shown == {
        "items": [{"kind": kind, "inbox": True, "channels": None} for kind in NoticeKind]
    }


async def test_news_goes_where_it_was_chosen_to_go(house: House, alice: Person) -> None:
    channel_id = str(await a_channel(house, alice))
    chosen = {"kind": "requestApproved", "inbox": False, "channels": [channel_id]}
    async with house.client(alice) as client:
        changed = await client.put(PREFERENCES, json={"items": [chosen]})
        assert int(changed.headers["X-Position"]) == house.store.head
        shown = (await client.get(PREFERENCES)).json()
        assert shown == changed.json()
        assert {item["kind"]: item for item in shown["items"]}["requestApproved"] == chosen
        again = await client.put(PREFERENCES, json={"items": [chosen, {"kind": "newRequest"}]})
        assert again.json() == shown
        restored = (await client.put(PREFERENCES, json={"items": []})).json()
    assert all(item["inbox"] and item["channels"] is None for item in restored["items"])


@pytest.mark.parametrize(
    ("items", "type_", "field"),
    [
        ([{"kind": "newRequest"}, {"kind": "newRequest"}], "validation", "items"),
        ([{"kind": "somethingElse"}], "validation", "items[0].kind"),
        ([{"kind": "newRequest", "channels": [1]}], "validation", "items[0].channels[0]"),
        ([{"kind": "newRequest", "channels": [str(uuid4())]}], "unknown-channels", "items"),
    ],
)
async def test_what_is_wrong_with_preferences_is_named(
    house: House, alice: Person, items: list[object], type_: str, field: str
) -> None:
    async with house.client(alice) as client:
        told = problem(await client.put(PREFERENCES, json={"items": items}), 400, type_)
    assert [error["field"] for error in told["errors"]] == [field]


async def test_another_s_channels_are_not_one_s_own(
    house: House, alice: Person, bob: Person
) -> None:
    channel_id = str(await a_channel(house, bob))
    items = [{"kind": "newRequest", "channels": [channel_id]}]
    async with house.client(alice) as client:
        problem(await client.put(PREFERENCES, json={"items": items}), 400, "unknown-channels")


async def test_who_was_forgotten_leaves_no_channel_to_read(house: House, alice: Person) -> None:
    channel_id = await a_channel(house, alice)
    await house.accounts.forget(alice.id, context("system:test"))
    channel = (await house.choices.of(alice.id)).channel(channel_id)
    for field, sealed in (("channel_name", channel.name), ("channel_address", channel.address)):
        assert await house.personal_data.reveal(alice.id, field, sealed) is None
