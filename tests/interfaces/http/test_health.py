import pytest

from interfaces.views import PartView
from tests.interfaces.house import House
from tests.interfaces.problems import problem, wrong_fields


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
async def test_a_process_that_answers_is_live(house: House, prefix: str) -> None:
    async with house.client() as client:
        answer = await client.get(f"{prefix}/health/live")
    assert (answer.status_code, answer.json()) == (200, {"live": True})


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
async def test_ready_names_every_part(house: House, prefix: str) -> None:
    async with house.client() as client:
        answer = await client.get(f"{prefix}/health/ready")
    body = answer.json()
    assert (answer.status_code, body["ready"]) == (200, True)
    assert [part["name"] for part in body["parts"]] == ["postgres", "redis", "projector"]
    assert body["parts"][0] == {
        "name": "postgres",
        "ok": True,
        "detail": "answers",
        "milliseconds": 0.5,
    }


async def test_one_part_that_fails_makes_it_not_ready(house: House) -> None:
    house.health.parts[1] = PartView("redis", ok=False, detail="not reachable", milliseconds=900.0)
    async with house.client() as client:
        answer = await client.get("/health/ready")
    body = problem(answer, 503, "not-ready")
    assert body["detail"] == "Not ready: redis."
    assert [part["ok"] for part in body["parts"]] == [True, False, True]
    assert answer.headers["retry-after"] == "5"


async def test_health_takes_no_parameters(house: House) -> None:
    async with house.client() as client:
        for path in ("/health/live?verbose=1", "/health/ready?verbose=1"):
            assert wrong_fields(await client.get(path)) == {"verbose": "Is not known here."}
