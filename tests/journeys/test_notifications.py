"""From what happens to a request to the people who hear of it, inside and outside of the house."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
from standardwebhooks.webhooks import Webhook

from infrastructure.stand_ins.http import Request, Response
from tests.infrastructure.notifiers.receivers import HttpReceiver
from tests.journeys.test_media_request import Messages
from tests.running import Running

CHANNELS = "/notifications/channels"
SECRET = "whsec_bWVkaWFuZXN0IG1lZGlhbmVzdCBtZWRpYW5lc3Q="


def webhook(receiver: HttpReceiver, path: str = "") -> dict[str, Any]:
    """The body that adds a webhook."""
    address = {"type": "webhook", "url": f"{receiver.url}/{path}", "secret": SECRET}
    return {"name": "My hook", "address": address}


async def until(
    client: httpx.AsyncClient, path: str, fits: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """The first of the items that fits, as soon as it is there."""
    async with asyncio.timeout(20):
        while True:
            answer = await client.get(path)
            for item in answer.json()["items"]:
                if fits(item):
                    return item
            await asyncio.sleep(0.05)


async def until_sent(receiver: HttpReceiver, title: str, number: int = 1) -> list[Request]:
    """The requests that tell of a title, as soon as there are so many."""
    async with asyncio.timeout(20):
        while True:
            told = [request for request in receiver.requests if title in request.body.decode()]
            if len(told) >= number:
                return told
            await asyncio.sleep(0.02)


async def test_an_admin_hears_of_a_request_and_the_asker_of_its_end(
    running: Running, user: httpx.AsyncClient, admin: httpx.AsyncClient, tmdb_id: int
) -> None:
    async with (
        HttpReceiver.listening() as receiver,
        running.socket(user, "notifications") as socket,
    ):
        added = await admin.post(CHANNELS, json=webhook(receiver))
        assert added.status_code == 201, added.text
        path = added.headers["Location"].removeprefix("/api/v1")
        assert (await admin.post(f"{path}/test")).json() == {"delivered": True, "reason": None}

        # The first attempt meets a server that is busy, and says for how long.
        receiver.answers = [Response(503, headers={"Retry-After": "1"})]
        asked = await user.post("/media/request", json={"mediaType": "movie", "tmdbId": tmdb_id})
        request = asked.json()
        told = await until(admin, "/notifications", lambda item: item["requestId"] == request["id"])
        assert (told["kind"], told["read"]) == ("newRequest", False)
        retrying = await until(
            admin, "/notifications/deliveries", lambda item: item["title"] == request["title"]
        )
        assert (retrying["status"], retrying["attempts"]) == ("retrying", 1)
        assert retrying["reason"] == "The answer was 503 Service Unavailable."

        first, second = await until_sent(receiver, request["title"], 2)
        assert first.body == second.body
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        Webhook(SECRET).verify(second.body, dict(second.headers))
        assert msgspec.json.decode(second.body)["type"] == "newRequest"
        await until(
            admin,
            "/notifications/deliveries",
            lambda item: item["title"] == request["title"] and item["status"] == "delivered",
        )
        assert (await admin.delete(path)).status_code == 204

        # A no is told to who has asked, with its reason, live and in the inbox.
        declined = await admin.post(
            f"/admin/requests/{request['id']}/decline", json={"reason": "No room."}
        )
        assert declined.is_success, declined.text
        news = await Messages(socket).until("newNotification", requestId=request["id"])
        assert (news["data"]["kind"], news["data"]["body"]) == ("requestDeclined", "No room.")
        after = {"after": news["position"]}
        (shown, *_) = (await user.get("/notifications", params=after)).json()["items"]
        assert shown == news["data"]
        read = await user.post(f"/notifications/{shown['id']}/read")
        after = {"after": read.headers["X-Position"]}
        (shown, *_) = (await user.get("/notifications", params=after)).json()["items"]
        assert shown["read"]


async def test_a_user_sends_nothing_into_the_network_of_the_house(
    running: Running, user: httpx.AsyncClient, admin: httpx.AsyncClient, tmdb_id: int
) -> None:
    async with HttpReceiver.listening() as receiver:
        added = await user.post(CHANNELS, json=webhook(receiver))
        channel = added.json()
        trial = await user.post(f"{CHANNELS}/{channel['id']}/test")
        reason = "The address leads to where messages may not go."
        assert trial.json() == {"delivered": False, "reason": reason}
        asked = await user.post("/media/request", json={"mediaType": "movie", "tmdbId": tmdb_id})
        await admin.post(
            f"/admin/requests/{asked.json()['id']}/decline", json={"reason": "No room."}
        )
        off = await until(user, CHANNELS, lambda item: not item["on"])
        assert (off["id"], off["offReason"]) == (channel["id"], reason)
        given_up = await until(
            user, "/notifications/deliveries", lambda item: item["channelId"] == channel["id"]
        )
        assert (given_up["status"], given_up["reason"]) == ("given_up", reason)
        assert receiver.requests == []
    assert (await user.delete(f"{CHANNELS}/{channel['id']}")).status_code == 204


async def test_an_admin_s_channel_that_is_gone_is_an_alert(
    running: Running, user: httpx.AsyncClient, admin: httpx.AsyncClient, tmdb_id: int
) -> None:
    async with HttpReceiver.listening() as receiver:
        receiver.answers = [Response(410)] * 9
        channel = (await admin.post(CHANNELS, json=webhook(receiver, "gone"))).json()
        await user.post("/media/request", json={"mediaType": "movie", "tmdbId": tmdb_id})
        await until(admin, CHANNELS, lambda item: item["id"] == channel["id"] and not item["on"])
        alert = await until(
            admin, "/admin/alerts?open=true", lambda item: item["subject"] == channel["id"]
        )
        assert alert["kind"] == "channel-off"
        assert "410" in alert["detail"]
        await admin.delete(f"{CHANNELS}/{channel['id']}")
        await until(
            admin, "/admin/alerts?open=false", lambda item: item["subject"] == channel["id"]
        )
