"""A stand-in fails in every way its original can, and in no other."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic

import httpx
import pytest

from infrastructure.stand_ins.control_client import StandInControl
from infrastructure.stand_ins.faults import Drop, Faults, Garbage, Hang, Refuse, Slow, Status
from infrastructure.stand_ins.running import StandIns

FILM = {"mediaType": "movie", "mediaId": 603, "is4k": False}


@pytest.fixture
async def control(stand_ins: StandIns) -> AsyncIterator[StandInControl]:
    control = StandInControl(stand_ins.control.url, "overseerr")
    yield control
    await control.aclose()


async def requests_made(overseerr: httpx.AsyncClient) -> int:
    return (await overseerr.get("/request")).json()["pageInfo"]["results"]


async def first_call(stand_ins: StandIns) -> None:
    while True:
        await asyncio.sleep(0.001)
        if await stand_ins.overseerr.calls():
            return


async def test_a_status_comes_in_the_words_of_the_original(
    stand_ins: StandIns, tmdb: httpx.AsyncClient
) -> None:
    for status, code in ((401, 7), (404, 34), (429, 25), (500, 11), (502, 43), (503, 9), (504, 24)):
        await stand_ins.tmdb.fail(Status(status=status))
        response = await tmdb.get("/movie/603")
        assert (response.status_code, response.json()["status_code"]) == (status, code)


async def test_a_status_may_have_other_words_and_headers(
    stand_ins: StandIns, overseerr: httpx.AsyncClient
) -> None:
    await stand_ins.overseerr.fail(
        Status(status=429, body={"message": "Later."}, headers={"Retry-After": "7"})
    )

    response = await overseerr.get("/auth/me")

    assert (response.status_code, response.json()) == (429, {"message": "Later."})
    assert response.headers["Retry-After"] == "7"


async def test_a_fault_strikes_as_often_as_told(
    stand_ins: StandIns, tmdb: httpx.AsyncClient
) -> None:
    await stand_ins.tmdb.fail(Status(status=500, times=2), Status(status=503, times=1))

    statuses = [(await tmdb.get("/movie/603")).status_code for _ in range(4)]

    assert statuses == [500, 500, 503, 200]


async def test_a_fault_strikes_only_its_method_and_path(
    stand_ins: StandIns, overseerr: httpx.AsyncClient
) -> None:
    await stand_ins.overseerr.fail(Status(status=500, method="POST", path="/api/v1/request"))

    assert (await overseerr.post("/request", json=FILM)).status_code == 500
    assert (await overseerr.get("/request")).status_code == 200
    assert (await overseerr.get("/auth/me")).status_code == 200


def test_a_fault_lasts_as_long_as_told() -> None:
    seconds = 0.0
    faults = Faults(clock=lambda: seconds)
    faults.replace([Drop(seconds=10)])

    seconds = 9.9
    assert faults.strike("GET", "/") == Drop(seconds=10)
    seconds = 10.0
    assert faults.strike("GET", "/") is None


async def test_a_fault_loses_the_work_or_only_the_answer(
    stand_ins: StandIns, overseerr: httpx.AsyncClient
) -> None:
    for work_first in (False, True):
        await stand_ins.overseerr.fail(Status(status=500, times=1, work_first=work_first))
        assert (await overseerr.post("/request", json=FILM)).status_code == 500
        assert await requests_made(overseerr) == int(work_first)


async def test_slow_is_the_right_answer_but_late(
    stand_ins: StandIns, tmdb: httpx.AsyncClient
) -> None:
    await stand_ins.tmdb.fail(Slow(delay=0.05))
    start = monotonic()

    response = await tmdb.get("/movie/603")

    assert response.json()["title"] == "The Matrix"
    assert monotonic() - start >= 0.05


@pytest.mark.parametrize("work_first", [True, False])
async def test_slow_does_its_work_before_or_after_the_delay(
    stand_ins: StandIns, overseerr: httpx.AsyncClient, work_first: bool
) -> None:
    await stand_ins.overseerr.fail(Slow(delay=0.3, method="POST", work_first=work_first))
    async with asyncio.TaskGroup() as tasks:
        posting = tasks.create_task(overseerr.post("/request", json=FILM))
        await first_call(stand_ins)
        assert await requests_made(overseerr) == int(work_first)

    assert posting.result().status_code == 201
    assert await requests_made(overseerr) == 1


async def test_garbage_is_broken_json_or_some_page(
    stand_ins: StandIns, tmdb: httpx.AsyncClient
) -> None:
    await stand_ins.tmdb.fail(Garbage(times=1), Garbage(html=True))

    broken, page = await tmdb.get("/movie/603"), await tmdb.get("/movie/603")

    assert broken.status_code == page.status_code == 200
    with pytest.raises(ValueError, match="Unterminated"):
        broken.json()
    assert page.text.startswith("<!doctype html>")


async def test_drop_closes_the_connection_without_an_answer(
    stand_ins: StandIns, tmdb: httpx.AsyncClient
) -> None:
    await stand_ins.tmdb.fail(Drop(times=1))

    with pytest.raises(httpx.RemoteProtocolError):
        await tmdb.get("/movie/603")
    assert (await tmdb.get("/movie/603")).status_code == 200


async def test_hang_never_answers(stand_ins: StandIns, tmdb: httpx.AsyncClient) -> None:
    await stand_ins.tmdb.fail(Hang())

    with pytest.raises(httpx.ReadTimeout):
        await tmdb.get("/movie/603", timeout=httpx.Timeout(None, read=0.1))


async def test_refused_connections_are_truly_refused_until_told_otherwise(
    stand_ins: StandIns, control: StandInControl, overseerr: httpx.AsyncClient
) -> None:
    await overseerr.post("/request", json=FILM)
    port = overseerr.base_url.port

    await control.fail(Refuse())
    with pytest.raises(httpx.ConnectError):
        await overseerr.get("/auth/me")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    await control.fail()

    assert await requests_made(overseerr) == 1, "the state survives"
    assert overseerr.base_url.port == port


async def test_a_refusal_can_end_by_itself(stand_ins: StandIns, tmdb: httpx.AsyncClient) -> None:
    await stand_ins.tmdb.fail(Refuse(seconds=0.05))
    with pytest.raises(httpx.ConnectError):
        await tmdb.get("/movie/603")

    async with asyncio.timeout(5):
        while True:
            try:
                response = await tmdb.get("/movie/603")
                break
            except httpx.ConnectError:
                await asyncio.sleep(0.01)

    assert response.status_code == 200


async def test_a_refusal_that_is_told_again_does_not_end_early(
    stand_ins: StandIns, tmdb: httpx.AsyncClient
) -> None:
    await stand_ins.tmdb.fail(Refuse(seconds=0.05))
    await stand_ins.tmdb.fail(Refuse())
    await asyncio.sleep(0.1)

    with pytest.raises(httpx.ConnectError):
        await tmdb.get("/movie/603")


async def test_every_call_is_recorded_without_its_secrets(
    stand_ins: StandIns, overseerr: httpx.AsyncClient
) -> None:
    await stand_ins.overseerr.fail(Drop(method="DELETE"))
    await overseerr.post("/request", json=FILM, headers={"X-Correlation-Id": "abc"})
    await overseerr.get("/request", params={"take": 5})
    with pytest.raises(httpx.RemoteProtocolError):
        await overseerr.delete("/request/1")

    posted, listed, dropped = await stand_ins.overseerr.calls()

    assert (posted.method, posted.path, posted.status) == ("POST", "/api/v1/request", 201)
    assert posted.body == FILM
    assert posted.headers["x-correlation-id"] == "abc"
    assert posted.headers["x-api-key"] == "***"
    assert posted.answered_at is not None
    assert posted.at <= posted.answered_at
    assert (listed.query, listed.fault) == ({"take": "5"}, None)
    assert (dropped.fault, dropped.status, dropped.answered_at) == ("drop", None, None)


async def test_a_key_in_the_url_is_not_recorded(stand_ins: StandIns) -> None:
    async with httpx.AsyncClient() as client:
        await client.post(f"{stand_ins.tmdb.url}/movie/603?api_key=secret", content=b"not JSON")

    (call,) = await stand_ins.tmdb.calls()

    assert (call.query, call.body) == ({"api_key": "***"}, "not JSON")


async def test_another_process_steers_a_stand_in_over_http(
    control: StandInControl, overseerr: httpx.AsyncClient
) -> None:
    await control.fail(Status(status=503, times=1, headers={"Retry-After": "2"}), Slow(delay=0.01))

    refused = await overseerr.get("/auth/me")
    slow = await overseerr.get("/auth/me")

    assert (refused.status_code, slow.status_code) == (503, 200)
    assert [call.fault for call in await control.calls()] == ["status", "slow"]


async def test_a_reset_stand_in_is_as_new(
    control: StandInControl, overseerr: httpx.AsyncClient
) -> None:
    await overseerr.post("/request", json=FILM)
    await control.fail(Refuse())

    await control.reset()

    assert await control.calls() == []
    assert await requests_made(overseerr) == 0
    assert (await overseerr.post("/request", json=FILM)).json()["id"] == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/overseerr/faults", '[{"fault": "tired"}]', 400),
        ("PUT", "/overseerr/faults", '[{"fault": "status"}]', 400),
        ("PUT", "/overseerr/faults", '[{"fault": "refuse", "times": 1}]', 400),
        ("PUT", "/overseerr/faults", "no JSON", 400),
        ("PUT", "/nobody/faults", "[]", 404),
        ("POST", "/overseerr/faults", "[]", 404),
        ("GET", "/overseerr", "", 404),
    ],
)
async def test_control_says_what_is_wrong_with_an_order(
    stand_ins: StandIns, method: str, path: str, body: str, status: int
) -> None:
    async with httpx.AsyncClient(base_url=stand_ins.control.url) as client:
        response = await client.request(method, path, content=body.encode())

    assert response.status_code == status
    assert response.json()["message"]
