"""What happens to a request in Overseerr is seen here, by its webhook or without."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from infrastructure.stand_ins.overseerr import API_KEY
from tests.running import Running, medianest

REQUESTS = "/media/requests"
SETTINGS = "/settings/notifications/webhook"


@asynccontextmanager
async def overseerr_of(running: Running) -> AsyncGenerator[httpx.AsyncClient]:
    """Overseerr as its owner sees it."""
    url, headers = f"{running.stand_ins['overseerr']}/api/v1", {"X-Api-Key": API_KEY}
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
        yield client


async def ask(user: httpx.AsyncClient, tmdb_id: int) -> str:
    answer = await user.post("/media/request", json={"mediaType": "movie", "tmdbId": tmdb_id})
    assert answer.status_code == httpx.codes.CREATED
    return answer.json()["id"]


async def until(user: httpx.AsyncClient, request_id: str, status: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            shown = (await user.get(f"{REQUESTS}/{request_id}")).json()
            if shown.get("status") == status:
                return shown
            await asyncio.sleep(0.05)


async def test_a_no_in_overseerr_is_a_no_here(
    running: Running, user: httpx.AsyncClient, tmdb_id: int
) -> None:
    request_id = await ask(user, tmdb_id)
    there = (await until(user, request_id, "forwarded"))["overseerrId"]
    async with overseerr_of(running) as overseerr:
        assert (await overseerr.get(SETTINGS)).json()["enabled"] is True
        await overseerr.post(f"/request/{there}/decline")
    await until(user, request_id, "declined")


async def test_news_that_are_made_up_change_nothing(
    running: Running, user: httpx.AsyncClient, tmdb_id: int
) -> None:
    request_id = await ask(user, tmdb_id)
    await until(user, request_id, "forwarded")
    async with overseerr_of(running) as overseerr:
        secret = (await overseerr.get(SETTINGS)).json()["options"]["authHeader"]
    forged = {
        "notification_type": "MEDIA_DECLINED",
        "media": {"media_type": "movie", "tmdbId": str(tmdb_id), "status": "AVAILABLE"},
    }
    before = (await user.get(f"{REQUESTS}/{request_id}/history")).json()
    async with httpx.AsyncClient(base_url=f"{running.url}/api/v1", trust_env=False) as somebody:
        for headers, status in (({}, 401), ({"Authorization": secret}, 204)):
            answer = await somebody.post("/webhooks/overseerr", json=forged, headers=headers)
            assert answer.status_code == status
    overseerr_id = before["items"][-1]["data"]["overseerrId"]
    async with asyncio.timeout(30):
        while not await looked_at(running, overseerr_id):
            await asyncio.sleep(0.05)
    assert (await user.get(f"{REQUESTS}/{request_id}/history")).json() == before


async def looked_at(running: Running, overseerr_id: int) -> bool:
    path = f"/api/v1/request/{overseerr_id}"
    return any(
        call.method == "GET" and call.path == path and call.answered_at
        for call in await running.overseerr.calls()
    )


async def test_what_no_webhook_tells_is_found_by_looking(tmp_path: Path) -> None:
    environment = {"MEDIANEST_OVERSEERR_POLL_SECONDS": "1"}
    async with (
        medianest(tmp_path, "--workers", "2", environment=environment) as running,
        running.client("user") as user,
        overseerr_of(running) as overseerr,
    ):
        silent = {"enabled": False, "types": 0, "options": {"webhookUrl": ""}}
        assert (await overseerr.post(SETTINGS, json=silent)).status_code == 200
        declined, deleted = await ask(user, 603), await ask(user, 550)
        for request_id, step in ((declined, "decline"), (deleted, None)):
            there = (await until(user, request_id, "forwarded"))["overseerrId"]
            if step:
                await overseerr.post(f"/request/{there}/{step}")
            else:
                await overseerr.delete(f"/request/{there}")
        await until(user, declined, "declined")
        gone = await until(user, deleted, "failed")
        assert gone["problem"] == "vanished"


async def test_available_is_told_once_when_plex_has_it(tmp_path: Path) -> None:
    environment = {"MEDIANEST_OVERSEERR_POLL_SECONDS": "1"}
    async with (
        medianest(tmp_path, environment=environment) as running,
        running.client("user") as user,
        overseerr_of(running) as overseerr,
    ):
        request_id = await ask(user, 603)
        there = (await until(user, request_id, "forwarded"))["overseerrId"]
        media = (await overseerr.get(f"/request/{there}")).json()["media"]["id"]
        before = len(await looks_at_plex(running))
        answer = await overseerr.post(f"/media/{media}/available", json={"is4k": False})
        assert answer.status_code == httpx.codes.OK
        async with asyncio.timeout(30):
            while len(await looks_at_plex(running)) < before + 2:
                await asyncio.sleep(0.05)
        assert (await user.get(f"{REQUESTS}/{request_id}")).json()["status"] == "forwarded"

        async with httpx.AsyncClient(trust_env=False) as control:
            shelved = [{"mediaType": "movie", "tmdbId": 603}]
            url = f"{running.stand_ins['control']}/plex/shelf"
            (await control.put(url, json=shelved)).raise_for_status()
        await until(user, request_id, "available")
        async with asyncio.timeout(30):
            while not (notices := await kinds_of(user)):
                await asyncio.sleep(0.05)
        for _ in range(2):  # sweeps look again, and have nothing to tell
            seen = len(await looks_at_plex(running))
            async with asyncio.timeout(30):
                while len(await looks_at_plex(running)) == seen:
                    await asyncio.sleep(0.05)
        assert await kinds_of(user) == notices == ["requestAvailable"]


async def looks_at_plex(running: Running) -> list[Any]:
    return [call for call in await running.plex.calls() if "/library/" in call.path]


async def kinds_of(user: httpx.AsyncClient) -> list[str]:
    items = (await user.get("/notifications")).json()["items"]
    return [item["kind"] for item in items]
