from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from application.ports.notifiers import DeliveryFailed, Undeliverable
from domain.media_requests import DeclineRequest, media_request_id
from domain.notifications.inbox import NotificationReceived
from tests.interfaces.house import MATRIX, House, Person, context, film
from tests.interfaces.problems import problem
from tests.interfaces.samples import a_channel, a_notification

NOTIFICATIONS = "/api/v1/notifications"
DELIVERIES = f"{NOTIFICATIONS}/deliveries"


async def told(house: House, person: Person, number: int = 1) -> list[UUID]:
    """What the person is told of so many requests, newest first."""
    return [await a_notification(house, person) for _ in range(number)][::-1]


async def page(client: httpx.AsyncClient, query: str = "") -> dict[str, Any]:
    answer = await client.get(NOTIFICATIONS + query)
    assert answer.status_code == 200
    return answer.json()


def ids(shown: dict[str, Any]) -> list[UUID]:
    return [UUID(item["id"]) for item in shown["items"]]


async def test_an_inbox_says_in_words_what_happened(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        await client.post("/api/v1/media/request", json=film())
        command = DeclineRequest(uuid4(), "No room.")
        await house.use_cases.change(media_request_id(MATRIX), command, context("system:test"))
        await house.settle()
        shown = await page(client)
    (received,) = [each for each in house.store.events if each.event in house.told(alice.id)]
    assert isinstance(received.event, NotificationReceived)
    assert shown == {
        "items": [
            {
                "id": str(received.stream_id),
                "position": received.position,
                "kind": "requestDeclined",
                "title": "“The Matrix” (1999) was declined",
                "body": "No room.",
                "requestId": str(media_request_id(MATRIX)),
                "at": msgspec.to_builtins(received.event.about.at),
                "read": False,
            }
        ],
        "nextCursor": None,
        "unread": 1,
    }


async def test_pages_go_on_where_the_last_one_ended(house: House, alice: Person) -> None:
    newest_first = await told(house, alice, 3)
    async with house.client(alice) as client:
        first = await page(client, "?limit=2")
        last = await page(client, f"?limit=2&cursor={first['nextCursor']}")
    assert ids(first) + ids(last) == newest_first
    assert (first["unread"], last["nextCursor"]) == (3, None)


async def test_one_is_read(house: House, alice: Person) -> None:
    newest, oldest = await told(house, alice, 2)
    async with house.client(alice) as client:
        read = await client.post(f"{NOTIFICATIONS}/{newest}/read")
        assert read.status_code == 204
        position = read.headers["X-Position"]
        shown = await page(client, f"?after={position}")
        unread = await page(client, "?unread=true")
        again = await client.post(f"{NOTIFICATIONS}/{newest}/read")
    assert [item["read"] for item in shown["items"]] == [True, False]
    assert (shown["unread"], ids(unread)) == (1, [oldest])
    assert again.headers["X-Position"] == position


async def test_all_is_read(house: House, alice: Person, bob: Person) -> None:
    await told(house, alice, 2)
    await told(house, bob)
    async with house.client(alice) as client, house.client(bob) as other:
        read = await client.post(f"{NOTIFICATIONS}/read-all")
        assert read.status_code == 204
        shown = await page(client, f"?after={read.headers['X-Position']}")
        others = await page(other)
    assert [item["read"] for item in shown["items"]] == [True, True]
    assert (shown["unread"], others["unread"]) == (0, 1)


async def test_what_came_while_one_was_reading_stays_unread(house: House, alice: Person) -> None:
    await told(house, alice)
    async with house.client(alice) as client:
        (seen,) = (await page(client))["items"]
        (newest,) = await told(house, alice)
        await client.post(f"{NOTIFICATIONS}/read-all?upTo={seen['position']}")
        assert ids(await page(client, "?unread=true")) == [newest]


async def test_nobody_reads_what_is_to_come(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        await client.post(f"{NOTIFICATIONS}/read-all?upTo={2**63 - 1}")
        await told(house, alice)
        assert (await page(client))["unread"] == 1


async def test_an_empty_inbox_can_be_read(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        for _ in range(2):
            assert (await client.post(f"{NOTIFICATIONS}/read-all")).status_code == 204
        assert await page(client) == {"items": [], "nextCursor": None, "unread": 0}


@pytest.mark.parametrize("whose", ["another's", "nobody's", "no notification"])
async def test_only_what_is_in_ones_inbox_is_read(
    house: House, alice: Person, bob: Person, whose: str
) -> None:
    (others,) = await told(house, bob)
    id_ = {"another's": others, "nobody's": uuid4(), "no notification": alice.id}[whose]
    async with house.client(alice) as client:
        answer = await client.post(f"{NOTIFICATIONS}/{id_}/read")
    problem(answer, 404, "unknown-notification")


@pytest.mark.parametrize("table", ["notifications", "inboxes"])
async def test_an_inbox_waits_for_both_of_its_tables(
    house: House, alice: Person, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interfaces.http.call.LONGEST_WAIT", timedelta())
    await told(house, alice)
    behind = {
        "notifications": house.notification_list,
        "inboxes": house.notification_list.inboxes,
    }[table]
    behind.stopped_at = 0
    async with house.client(alice) as client:
        answer = await client.get(f"{NOTIFICATIONS}?after={house.store.head}")
    problem(answer, 503, "read-model-behind")


# Deliveries


async def test_deliveries_show_their_attempts(house: House, alice: Person) -> None:
    channel_id = await a_channel(house, alice)
    notifier = next(iter(house.notifiers.values()))
    notifier.failure = DeliveryFailed("There was no answer in time.")
    (of,) = await told(house, alice)
    async with house.client(alice) as client:
        (item,) = (await client.get(DELIVERIES)).json()["items"]
        assert item["nextAttemptAt"] > item["updatedAt"]
        shown = ("notificationId", "channelId", "kind", "title", "status", "attempts", "reason")
        assert [item[name] for name in shown] == [
            str(of),
            str(channel_id),
            "requestDeclined",
            "A film",
            "retrying",
            1,
            "There was no answer in time.",
        ]
        notifier.failure = Undeliverable("The answer was 404 Not Found.")
        house.clock.ahead += house.waiting[0][0] - house.clock()
        await house.settle()
        (item,) = (await client.get(DELIVERIES)).json()["items"]
    assert [item[name] for name in shown[4:]] == ["given_up", 2, "The answer was 404 Not Found."]
    assert item["nextAttemptAt"] is None


async def test_deliveries_are_ones_own_of_any_channel_or_of_one(
    house: House, alice: Person, bob: Person
) -> None:
    first = await a_channel(house, alice)
    await a_channel(house, alice)
    await a_channel(house, bob)
    await told(house, alice, 2)
    await told(house, bob)
    async with house.client(alice) as client:
        every = (await client.get(DELIVERIES)).json()["items"]
        page_one = (await client.get(f"{DELIVERIES}?limit=3")).json()
        rest = (await client.get(f"{DELIVERIES}?cursor={page_one['nextCursor']}")).json()
        ofone = (await client.get(f"{DELIVERIES}?channelId={first}")).json()["items"]
    assert len(every) == 4
    assert page_one["items"] + rest["items"] == every
    assert rest["nextCursor"] is None
    assert [item["channelId"] for item in ofone] == [str(first)] * 2
