"""Whatever nobody expected is told to admins, in whichever process it happened."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec

from tests.running import Running, medianest

PROCESSES = ("projector", "worker")


async def _told(admin: httpx.AsyncClient, path: str, wanted: int) -> list[dict[str, Any]]:
    """So many items, once there are as many."""
    async with asyncio.timeout(20):
        while len(items := (await admin.get(path)).json()["items"]) < wanted:
            await asyncio.sleep(0.1)
    return items


def _plant_event(running: Running) -> None:
    """One of another version of MediaNest, as a downgrade would leave it."""
    metadata = {
        "eventId": uuid4(),
        "at": "2026-01-01T00:00:00Z",
        "actor": "system:test",
        "correlationId": "from-tomorrow",
        "commandId": uuid4(),
    }
    with running.connect() as connection:
        connection.execute(
            "SELECT * FROM append_to_events(%s::uuid[], %s::uuid[], ARRAY[1]::bigint[], ARRAY[1],"
            " ARRAY[1]::bigint[], ARRAY['media_request.teleported'], ARRAY[%s]::bytea[])",
            ([uuid4()], [uuid4()], msgspec.json.encode({"metadata": metadata, "data": {}})),
        )


def _plant_job(running: Running) -> None:
    with running.connect() as connection:
        connection.execute(
            "INSERT INTO outbox (id, job, due_at) VALUES (%s, %s, now())",
            (uuid4(), '{"effect": {"type": "Teleport"}}'),
        )


async def test_errors_of_every_process_are_logged_counted_and_raise_an_alert(
    tmp_path: Path,
) -> None:
    async with medianest(tmp_path) as running, running.client("admin") as admin:
        _plant_event(running)
        _plant_job(running)
        errors = await _told(admin, "/admin/errors", 2)
        alerts = await _told(admin, "/admin/alerts", 2)
    told = {error["process"]: error for error in errors}
    assert tuple(sorted(told)) == PROCESSES
    assert all(error["critical"] and error["frames"] for error in errors)
    assert told["projector"]["kind"].endswith("UnreadableEvent")
    assert told["projector"]["firstCorrelationId"] == "from-tomorrow"
    assert told["worker"]["caughtIn"] == "job failed"
    assert {alert["subject"] for alert in alerts} == {error["fingerprint"] for error in errors}
