"""What the Overseerr stand-in tells of changes, as the original's default template does."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from infrastructure.stand_ins.http import Request, Response
from infrastructure.stand_ins.running import StandIns
from infrastructure.stand_ins.stand_in import StandIn

FILM: dict[str, Any] = {"mediaType": "movie", "mediaId": 603, "is4k": False}
SERIES: dict[str, Any] = {"mediaType": "tv", "mediaId": 1396, "is4k": True, "seasons": [1, 2]}
EVERYTHING = 4095
SETTINGS = "/settings/notifications/webhook"
SECRET = "Bearer of news"


class Ear(StandIn):
    """Hears webhooks, and never objects."""

    name = "ear"

    def __init__(self) -> None:
        super().__init__()
        self.authorizations: list[str | None] = []

    def respond(self, request: Request) -> Response:
        self.authorizations.append(request.headers.get("authorization"))
        return Response(200)

    def error(self, status: int) -> Response:
        return Response(status)

    def clear(self) -> None:
        self.authorizations.clear()

    async def heard(self, number: int) -> list[Any]:
        """The first so many bodies, however long they take to come."""
        async with asyncio.timeout(10):
            while len(await self.calls()) < number:
                await asyncio.sleep(0.01)
        return [call.body for call in await self.calls()]


@pytest.fixture
async def ear() -> AsyncIterator[Ear]:
    ear = Ear()
    await ear.open()
    yield ear
    await ear.close()


async def listen(
    overseerr: httpx.AsyncClient, ear: Ear, types: int = EVERYTHING, **more: Any
) -> None:
    options = {"webhookUrl": f"{ear.url}/hook", "authHeader": SECRET}
    body = {"enabled": True, "types": types, "options": options} | more
    assert (await overseerr.post(SETTINGS, json=body)).status_code == 200


async def test_every_change_of_a_request_is_told(overseerr: httpx.AsyncClient, ear: Ear) -> None:
    user = {"email": "ann@example.com", "permissions": 32}
    ann = str((await overseerr.post("/user", json=user)).json()["id"])
    await listen(overseerr, ear)

    await overseerr.post("/request", json=FILM, headers={"X-API-User": ann})
    (pending,) = await ear.heard(1)
    await overseerr.post("/request/1/approve")
    await ear.heard(2)
    await overseerr.post("/media/1/available", json={"is4k": False})
    await ear.heard(3)
    await overseerr.post("/request", json=SERIES)
    await ear.heard(4)
    await overseerr.post("/request/2/decline")
    bodies = await ear.heard(5)

    assert [body["notification_type"] for body in bodies] == [
        "MEDIA_PENDING", "MEDIA_APPROVED", "MEDIA_AVAILABLE", "MEDIA_AUTO_APPROVED",
        "MEDIA_DECLINED",
    ]  # fmt: skip
    assert pending["media"] == {
        "media_type": "movie", "tmdbId": "603", "tvdbId": "", "status": "PENDING",
        "status4k": "UNKNOWN",
    }  # fmt: skip
    assert (pending["subject"], pending["event"]) == (
        "The Matrix (1999)",
        "Movie Request Pending Approval",
    )
    assert pending["request"]["request_id"] == "1"
    assert pending["request"]["requestedBy_email"] == "ann@example.com"
    assert (pending["issue"], pending["comment"], pending["extra"]) == (None, None, [])
    series = bodies[3]
    assert series["event"] == "4K Series Request Automatically Approved"
    assert series["media"]["tvdbId"] == "81189"
    assert series["extra"] == [{"name": "Requested Seasons", "value": "1, 2"}]
    assert set(ear.authorizations) == {SECRET}


async def test_the_test_notification_is_about_nothing(
    overseerr: httpx.AsyncClient, ear: Ear
) -> None:
    await listen(overseerr, ear, types=0)

    assert (await overseerr.post(f"{SETTINGS}/test")).status_code == 204

    (body,) = await ear.heard(1)
    assert body["notification_type"] == "TEST_NOTIFICATION"
    assert (body["media"], body["request"]) == (None, None)


async def test_only_what_is_wanted_is_told(overseerr: httpx.AsyncClient, ear: Ear) -> None:
    await listen(overseerr, ear, types=64)
    await overseerr.post("/request", json=FILM)
    await overseerr.post("/request/1/decline")

    (body,) = await ear.heard(1)
    assert body["notification_type"] == "MEDIA_DECLINED"


async def test_what_is_switched_off_is_silent(overseerr: httpx.AsyncClient, ear: Ear) -> None:
    await listen(overseerr, ear, enabled=False)
    await overseerr.post("/request", json=FILM)
    await listen(overseerr, ear)
    await overseerr.post("/request/1/decline")

    (body,) = await ear.heard(1)
    assert body["notification_type"] == "MEDIA_DECLINED"


async def test_a_call_that_nobody_hears_is_lost(
    stand_ins: StandIns, overseerr: httpx.AsyncClient, ear: Ear
) -> None:
    await listen(overseerr, ear)
    await ear.close()

    assert (await overseerr.post("/request", json=FILM)).status_code == 201
    assert (await overseerr.post("/request/1/decline")).status_code == 200

    await stand_ins.overseerr.reset()
    settings = (await overseerr.get(SETTINGS)).json()
    assert (settings["enabled"], settings["options"]["webhookUrl"]) == (False, "")
