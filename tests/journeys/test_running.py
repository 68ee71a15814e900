"""Starting, stopping and starting again; and what is told when it cannot start."""

import asyncio
import os
import re
import signal
import socket
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from tests.running import medianest, run, start


def below(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


async def all_gone(processes: list[psutil.Process], *, within: float) -> bool:
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, timeout=within)
    return not alive


async def test_everything_is_still_there_after_a_stop_and_a_start(tmp_path: Path) -> None:
    async with medianest(tmp_path) as first, first.client("user") as client:
        body = {"mediaType": "movie", "tmdbId": 603}
        request = (await client.post("/media/request", json=body)).json()
        processes = below(first.process.pid)
        first.process.terminate()
        assert await first.process.wait() == 0
        assert await all_gone(processes, within=0)
    async with medianest(tmp_path) as second, second.client("user") as client:
        kept = (await client.get(f"/media/requests/{request['id']}")).json()
        assert kept["title"] == "The Matrix"
        assert (await client.post("/media/request", json=body)).status_code == 409


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_no_process_is_left_however_it_ends(tmp_path: Path, how: signal.Signals) -> None:
    async with medianest(tmp_path, "--api", "2", "--workers", "2") as running:
        processes = below(running.process.pid)
        assert len(running.pids("api")) == len(running.pids("worker")) == 2
        running.process.send_signal(how)
        async with asyncio.timeout(20):
            status = await running.process.wait()
        assert status == (-9 if how is signal.SIGKILL else 0)
        assert await all_gone(processes, within=20)


async def test_it_starts_again_after_a_kill(tmp_path: Path) -> None:
    async with medianest(tmp_path) as first, first.client("user") as client:
        body = {"mediaType": "movie", "tmdbId": 603}
        assert (await client.post("/media/request", json=body)).status_code == 201
        first.process.kill()
        await first.process.wait()
    async with medianest(tmp_path) as second, second.client("user") as client:
        assert (await client.post("/media/request", json=body)).status_code == 409


async def test_the_demo_walks_and_stays_up_until_it_is_stopped(tmp_path: Path) -> None:
    process = await start(["demo", "--port", "0", "--data-dir", str(tmp_path)])
    assert process.stdout is not None
    lines: list[str] = []
    async with asyncio.timeout(90):
        while not lines or "Ctrl-C stops it" not in lines[-1]:
            lines.append((await process.stdout.readline()).decode())
            assert process.returncode is None, "".join(lines)
    walk = "".join(lines)
    processes = below(process.pid)
    for step in ("201 The Matrix", "newRequest", "mediaRequestUpdate", "409", "forwarded"):
        assert step in walk
    for step in ("200 pending", "200 signedIn", "401 session-over", "429 too-many-requests"):
        assert step in walk
    assert re.search(r"PUT /admin/rate-limits/general .*100.*3600.* 200", walk)
    url = next(word for word in lines[0].split() if word.startswith("http"))
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{url}/health/live")).status_code == 200
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(20):
        assert await process.wait() == 0
    assert await all_gone(processes, within=0)


async def test_a_used_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, out, error = await run("up", "--port", port, "--data-dir", str(tmp_path / "data"))
    assert status == 1
    assert out == ""
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use" in error
    assert "Choose another with --host and --port" in error
    assert not (tmp_path / "data").exists()


async def test_a_data_folder_in_use_names_who_has_it(tmp_path: Path) -> None:
    async with medianest(tmp_path) as running:
        status, _, error = await run("up", "--port", "0", "--data-dir", str(tmp_path))
        assert status == 1
        assert f"is in use by process {running.process.pid}" in error
        assert "choose another folder" in error
        async with running.client("user") as client:
            assert (await client.get("/auth/me")).status_code == 200


async def test_a_data_folder_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "data"
    status, _, error = await run("up", "--port", "0", "--data-dir", str(folder))
    assert status == 1
    assert str(folder) in error
    assert "is not a folder: choose another" in error


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"MEDIANEST_PORT": "eighty"}, "MEDIANEST_PORT is wrong: it must be a port number"),
        ({"MEDIANEST_PROT": "80"}, "MEDIANEST_PROT is not a setting. Did you mean MEDIANEST_PORT?"),
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL is wrong"),
    ],
)
async def test_a_wrong_setting_stops_the_start(
    tmp_path: Path, environment: dict[str, str], message: str
) -> None:
    status, _, error = await run(
        "up", "--data-dir", str(tmp_path / "data"), environment=environment
    )
    assert status == 2
    assert message in error
    assert not (tmp_path / "data").exists()


async def test_a_role_without_its_databases_says_what_is_missing(tmp_path: Path) -> None:
    for role in ("api", "worker", "projector", "migrate"):
        status, _, error = await run(role, "--data-dir", str(tmp_path))
        assert status == 2
        assert "_URL is not set, and no MediaNest runs in" in error


async def test_a_database_that_is_away_is_told_without_a_traceback() -> None:
    environment = {
        "DATABASE_URL": "postgresql://127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1",
        "MEDIANEST_SECRET_KEY": "k" * 32,
    }
    for role in ("worker", "migrate"):
        status, _, error = await run(role, environment=environment)
        assert status == 1
        assert any(line.startswith("medianest: ") for line in error.splitlines())
        assert "Traceback" not in error


async def test_an_option_that_does_not_exist_is_wrong_usage() -> None:
    status, _, error = await run("up", "--prot", "80")
    assert status == 2
    assert "--prot" in error


async def test_a_database_that_was_not_migrated_is_not_written_to(database_url: str) -> None:
    environment = {
        "DATABASE_URL": database_url,
        "REDIS_URL": "redis://127.0.0.1:1",
        "MEDIANEST_SECRET_KEY": "k" * 32,
    }
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("COMMENT ON FUNCTION append_to_events IS 'of another version'")
    status, _, error = await run("worker", environment=environment)
    assert status == 1
    assert "Run: medianest migrate" in error
    assert (await run("migrate", environment=environment))[0] == 0


async def test_an_account_can_be_added_and_used(tmp_path: Path) -> None:
    async with medianest(tmp_path) as running:
        arguments = ("accounts", "add", "ann@example.org", "--password-stdin")
        folder = ("--data-dir", str(tmp_path))
        status, out, error = await run(*arguments, *folder, stdin=b"correct horse\n")
        assert status == 0, error
        async with running.client(None) as client:
            body = {"email": "ann@example.org", "password": "correct horse"}
            answer = await client.post("/auth/login", json=body)
            assert answer.json()["user"] == {
                "id": out.strip(),
                "email": "ann@example.org",
                "name": None,
                "role": "user",
            }
        status, _, error = await run(*arguments, *folder, stdin=b"correct horse\n")
        assert status == 1
        assert "already an account" in error
        status, _, error = await run(*arguments, *folder, stdin=b"short\n")
        assert status == 2
        assert "at least 8 characters" in error


async def test_the_roles_run_alone_on_servers_that_are_named(
    database_url: str, redis_url: str
) -> None:
    environment = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "MEDIANEST_SECRET_KEY": "k" * 32,
        "MEDIANEST_PORT": str(free_port()),
    }
    roles = [await start([role], environment) for role in ("projector", "worker", "api")]
    try:
        url = f"http://127.0.0.1:{environment['MEDIANEST_PORT']}/health/ready"
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(30):
            while True:
                try:
                    assert (await client.get(url)).status_code == 200
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
    finally:
        for role in roles:
            os.kill(role.pid, signal.SIGTERM)
    assert [await role.wait() for role in roles] == [0, 0, 0]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]
