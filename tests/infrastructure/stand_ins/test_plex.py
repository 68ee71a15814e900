"""The stand-in of a Plex server answers as developer.plex.tv says that one does."""

from xml.etree.ElementTree import fromstring

import httpx
import pytest

from infrastructure.stand_ins.faults import Status
from infrastructure.stand_ins.running import StandIns

JSON = {"Accept": "application/json"}


async def test_anybody_is_told_who_the_server_is(
    stand_ins: StandIns, plex: httpx.AsyncClient
) -> None:
    identity = (await plex.get("/identity", headers=JSON)).json()["MediaContainer"]

    assert identity["machineIdentifier"] == stand_ins.plex.machine_identifier
    assert identity["claimed"] is True
    assert identity["version"]


async def test_without_asking_for_json_one_gets_xml(
    stand_ins: StandIns, plex: httpx.AsyncClient
) -> None:
    response = await plex.get("/identity", headers={"Accept": "*/*"})

    container = fromstring(response.text)
    assert response.headers["Content-Type"].startswith("application/xml")
    assert (container.tag, container.get("claimed")) == ("MediaContainer", "1")
    assert container.get("machineIdentifier") == stand_ins.plex.machine_identifier


@pytest.mark.parametrize("token", [{}, {"X-Plex-Token": "wrong"}])
async def test_the_rest_needs_a_token_and_says_so_in_html(
    plex: httpx.AsyncClient, token: dict[str, str]
) -> None:
    response = await plex.get("/", headers=JSON | token)

    assert response.status_code == 401
    assert "<h1>401 Unauthorized</h1>" in response.text


async def test_the_token_opens_from_the_header_and_from_the_query(
    stand_ins: StandIns, plex: httpx.AsyncClient
) -> None:
    token = {"X-Plex-Token": stand_ins.plex.token}

    from_header = await plex.get("/", headers=JSON | token)
    from_query = await plex.get("/", headers=JSON, params=token)

    assert from_header.json() == from_query.json()
    container = from_header.json()["MediaContainer"]
    assert container["machineIdentifier"] == stand_ins.plex.machine_identifier


async def test_what_it_does_not_have_is_not_found(
    stand_ins: StandIns, plex: httpx.AsyncClient
) -> None:
    plex.headers["X-Plex-Token"] = stand_ins.plex.token

    assert (await plex.get("/nowhere")).status_code == 404
    assert (await plex.post("/identity")).status_code == 404


async def test_a_reinstalled_server_is_another_until_the_reset(stand_ins: StandIns) -> None:
    first = stand_ins.plex.machine_identifier

    stand_ins.plex.reinstall()
    second = stand_ins.plex.machine_identifier
    await stand_ins.plex.reset()

    assert first != second
    assert len(first) == len(second) == 40
    assert stand_ins.plex.machine_identifier == first


async def test_its_errors_are_pages(stand_ins: StandIns, plex: httpx.AsyncClient) -> None:
    await stand_ins.plex.fail(Status(status=503))

    response = await plex.get("/identity", headers=JSON)

    assert response.status_code == 503
    assert "<h1>503 Service Unavailable</h1>" in response.text
