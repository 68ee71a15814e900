"""The stand-in of plex.tv answers as developer.plex.tv and plexapi say that plex.tv does."""

from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree.ElementTree import fromstring

import httpx
import pytest

from infrastructure.stand_ins.faults import Status
from infrastructure.stand_ins.plex_tv import PEOPLE, PlexTvStandIn
from infrastructure.stand_ins.running import StandIns

NO_SUCH_PIN = {"errors": [{"code": 1020, "message": "Code not found or expired"}]}
TOKENS = {person.username: {"X-Plex-Token": person.token} for person in PEOPLE}


async def start_pin(plex_tv: httpx.AsyncClient) -> dict[str, Any]:
    return (await plex_tv.post("/api/v2/pins?strong=true")).json()


# PINs


@pytest.mark.parametrize(("query", "length", "seconds"), [("", 4, 900), ("?strong=true", 25, 1800)])
async def test_a_pin_waits_for_somebody(
    plex_tv: httpx.AsyncClient, query: str, length: int, seconds: int
) -> None:
    response = await plex_tv.post(f"/api/v2/pins{query}", headers={"X-Plex-Product": "Tests"})

    pin = response.json()
    assert response.status_code == 201
    assert (len(pin["code"]), pin["expiresIn"]) == (length, seconds)
    assert (pin["clientIdentifier"], pin["product"]) == ("a-client", "Tests")
    assert (pin["authToken"], pin["trusted"]) == (None, False)
    created, expires = (datetime.fromisoformat(pin[key]) for key in ("createdAt", "expiresAt"))
    assert expires - created == timedelta(seconds=seconds)
    shown = (await plex_tv.get(f"/api/v2/pins/{pin['id']}")).json()
    assert shown["code"] == pin["code"]
    assert shown["authToken"] is None


async def test_no_two_pins_are_alike(plex_tv: httpx.AsyncClient) -> None:
    pins = [await start_pin(plex_tv) for _ in range(5)]

    assert len({pin["id"] for pin in pins}) == len({pin["code"] for pin in pins}) == 5


async def test_a_confirmed_pin_gives_the_token_until_it_expires(
    plex_tv: httpx.AsyncClient,
) -> None:
    pin = await start_pin(plex_tv)
    confirmed = await plex_tv.put(f"/confirm/{pin['code']}?username=friend")

    first = (await plex_tv.get(f"/api/v2/pins/{pin['id']}")).json()["authToken"]
    again = (await plex_tv.get(f"/api/v2/pins/{pin['id']}")).json()["authToken"]
    user = (await plex_tv.get("/api/v2/user", headers={"X-Plex-Token": first})).json()

    assert confirmed.status_code == 204
    assert first == again
    assert (user["username"], user["authToken"]) == ("friend", first)


async def test_the_time_of_a_pin_runs_out_confirmed_or_not(
    stand_ins: StandIns, plex_tv: httpx.AsyncClient
) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    stand_in = PlexTvStandIn(stand_ins.plex, clock=lambda: now)
    await stand_in.open()
    plex_tv.base_url = httpx.URL(stand_in.url)
    pins = [await start_pin(plex_tv) for _ in range(2)]
    stand_in.confirm(pins[0]["code"], "owner")

    now += timedelta(minutes=29)
    left = [(await plex_tv.get(f"/api/v2/pins/{pin['id']}")).json() for pin in pins]
    now += timedelta(minutes=1)
    gone = [await plex_tv.get(f"/api/v2/pins/{pin['id']}") for pin in pins]
    late = await plex_tv.put(f"/confirm/{pins[1]['code']}?username=owner")
    await stand_in.close()

    assert [pin["expiresIn"] for pin in left] == [60, 60]
    assert [(answer.status_code, answer.json()) for answer in gone] == 2 * [(404, NO_SUCH_PIN)]
    assert late.status_code == 404


async def test_a_test_can_let_the_time_run_out(plex_tv: httpx.AsyncClient) -> None:
    pin = await start_pin(plex_tv)

    assert (await plex_tv.put(f"/expire/{pin['code']}")).status_code == 204

    assert (await plex_tv.get(f"/api/v2/pins/{pin['id']}")).json() == NO_SUCH_PIN
    assert (await plex_tv.put(f"/expire/{pin['code']}")).status_code == 404


async def test_a_pin_is_shown_to_its_own_client_only(plex_tv: httpx.AsyncClient) -> None:
    pin = await start_pin(plex_tv)
    other = {"X-Plex-Client-Identifier": "another-client"}

    response = await plex_tv.get(f"/api/v2/pins/{pin['id']}", headers=other)

    assert (response.status_code, response.json()) == (404, NO_SUCH_PIN)


@pytest.mark.parametrize("pin_id", ["99", "0", "abc"])
async def test_an_unknown_pin_is_not_found(plex_tv: httpx.AsyncClient, pin_id: str) -> None:
    response = await plex_tv.get(f"/api/v2/pins/{pin_id}")

    assert (response.status_code, response.json()) == (404, NO_SUCH_PIN)


async def test_only_somebody_who_exists_confirms_and_only_once(
    plex_tv: httpx.AsyncClient,
) -> None:
    code = (await start_pin(plex_tv))["code"]

    answers = [
        await plex_tv.put(f"/confirm/{path}")
        for path in (f"{code}?username=nobody", code, "x?username=owner", f"{code}?username=owner")
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404, 204]
    assert (await plex_tv.put(f"/confirm/{code}?username=friend")).json() == NO_SUCH_PIN


async def test_the_page_to_sign_in_at_offers_everybody(plex_tv: httpx.AsyncClient) -> None:
    page = await plex_tv.get("/auth", headers={"Accept": "text/html"})

    assert page.headers["Content-Type"] == "text/html"
    assert [person for person in PEOPLE if f">{person.username}</button>" not in page.text] == []


# People


async def test_a_token_tells_whose_it_is(plex_tv: httpx.AsyncClient) -> None:
    owner = (await plex_tv.get("/api/v2/user", headers=TOKENS["owner"])).json()
    child = (await plex_tv.get("/api/v2/user", params=TOKENS["child"])).json()

    assert (owner["id"], owner["username"], owner["email"]) == (1, "owner", "owner@plex.test")
    assert owner["homeAdmin"]
    assert (child["id"], child["email"], child["restricted"]) == (4, None, True)


@pytest.mark.parametrize(
    ("username", "owned", "source"), [("owner", True, None), ("friend", False, "owner")]
)
async def test_whoever_has_access_sees_the_server_beside_their_player(
    stand_ins: StandIns,
    plex_tv: httpx.AsyncClient,
    username: str,
    owned: bool,
    source: str | None,
) -> None:
    resources = (await plex_tv.get("/api/v2/resources", headers=TOKENS[username])).json()

    assert [resource["provides"] for resource in resources] == ["client,player", "server"]
    server = resources[1]
    assert server["clientIdentifier"] == stand_ins.plex.machine_identifier
    assert (server["owned"], server["sourceTitle"]) == (owned, source)
    assert server["connections"][0]["uri"] == stand_ins.plex.url


async def test_the_owners_token_for_the_server_opens_it(
    stand_ins: StandIns, plex_tv: httpx.AsyncClient
) -> None:
    resources = (await plex_tv.get("/api/v2/resources", headers=TOKENS["owner"])).json()
    token = {"X-Plex-Token": resources[1]["accessToken"]}

    assert (await plex_tv.get(stand_ins.plex.url, headers=token)).status_code == 200


async def test_a_stranger_owns_another_server(
    stand_ins: StandIns, plex_tv: httpx.AsyncClient
) -> None:
    resources = (await plex_tv.get("/api/v2/resources", headers=TOKENS["stranger"])).json()

    assert (resources[1]["provides"], resources[1]["owned"]) == ("server", True)
    assert resources[1]["clientIdentifier"] != stand_ins.plex.machine_identifier


async def test_a_ping_keeps_a_token_alive(plex_tv: httpx.AsyncClient) -> None:
    assert (await plex_tv.get("/api/v2/ping", headers=TOKENS["owner"])).json() == {"pong": True}


async def test_who_signs_out_has_no_token_until_the_reset(
    stand_ins: StandIns, plex_tv: httpx.AsyncClient
) -> None:
    statuses = [
        (await plex_tv.request(method, path, headers=TOKENS["friend"])).status_code
        for method, path in (
            ("DELETE", "/api/v2/users/signout"),
            ("GET", "/api/v2/user"),
            ("DELETE", "/api/v2/users/signout"),
        )
    ]
    await stand_ins.plex_tv.reset()

    assert statuses == [204, 401, 401]
    assert (await plex_tv.get("/api/v2/user", headers=TOKENS["friend"])).status_code == 200


# Refusals


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v2/user"),
        ("GET", "/api/v2/resources"),
        ("GET", "/api/v2/ping"),
        ("DELETE", "/api/v2/users/signout"),
    ],
)
@pytest.mark.parametrize(
    ("token", "status", "message"),
    [
        (None, 401, "User could not be authenticated"),
        ("unheard-of", 401, "User could not be authenticated"),
        ("stand-in-garbled", 422, "Invalid token"),
        ("stand-in-expired", 498, "The token has expired"),
    ],
)
async def test_without_a_good_token_nothing_is_told(
    plex_tv: httpx.AsyncClient,
    method: str,
    path: str,
    token: str | None,
    status: int,
    message: str,
) -> None:
    headers = {"X-Plex-Token": token} if token else {}

    response = await plex_tv.request(method, path, headers=headers)

    error = {"code": 1001, "message": message, "status": status}
    assert (response.status_code, response.json()) == (status, {"errors": [error]})


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/v2/pins"), ("GET", "/api/v2/pins/1"), ("GET", "/api/v2/user")],
)
async def test_a_client_must_say_which_it_is(
    plex_tv: httpx.AsyncClient, method: str, path: str
) -> None:
    del plex_tv.headers["X-Plex-Client-Identifier"]

    response = await plex_tv.request(method, path)

    error = {"code": 1000, "message": "X-Plex-Client-Identifier is missing", "status": 400}
    assert (response.status_code, response.json()) == (400, {"errors": [error]})


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/api/v2/nowhere", 404, 1002), ("PATCH", "/api/v2/user", 405, 1005)],
)
async def test_what_plex_tv_does_not_have_is_refused_in_its_words(
    plex_tv: httpx.AsyncClient, method: str, path: str, status: int, code: int
) -> None:
    response = await plex_tv.request(method, path)

    assert response.status_code == status
    assert response.json()["errors"][0]["code"] == code


async def test_a_status_comes_in_the_words_of_the_original(
    stand_ins: StandIns, plex_tv: httpx.AsyncClient
) -> None:
    for status, code in ((401, 1001), (429, 1003), (500, 1007), (502, 1007), (503, 1013)):
        await stand_ins.plex_tv.fail(Status(status=status))
        response = await plex_tv.get("/api/v2/user")
        error = response.json()["errors"][0]
        assert (response.status_code, error["status"], error["code"]) == (status, status, code)


async def test_without_asking_for_json_one_gets_xml(plex_tv: httpx.AsyncClient) -> None:
    plex_tv.headers["Accept"] = "*/*"

    pin = fromstring((await plex_tv.post("/api/v2/pins")).text)
    resources = fromstring((await plex_tv.get("/api/v2/resources", headers=TOKENS["friend"])).text)
    errors = fromstring((await plex_tv.get("/api/v2/user")).text)

    assert (pin.tag, pin.get("trusted"), pin.get("authToken")) == ("pin", "0", "")
    assert [resource.get("owned") for resource in resources.findall("resource")] == ["1", "0"]
    assert resources.find("resource/connections/connection[@local='1']") is not None
    assert [error.get("code") for error in errors.findall("error")] == ["1001"]


async def test_the_control_port_steers_it(stand_ins: StandIns, plex_tv: httpx.AsyncClient) -> None:
    await plex_tv.put(
        f"{stand_ins.control.url}/plexTv/faults", json=[{"fault": "status", "status": 503}]
    )

    refused = await plex_tv.get("/api/v2/user", headers=TOKENS["owner"])
    (call,) = await stand_ins.plex_tv.calls()

    assert refused.status_code == 503
    assert call.headers["x-plex-token"] == "***"
