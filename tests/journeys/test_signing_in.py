"""The seed's authentication flow, over two API processes: who gets in, and who does not."""

import asyncio
import re
from collections import Counter
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest

from infrastructure.stand_ins.faults import CallFault, Drop, Garbage, Refuse, Status
from infrastructure.stand_ins.plex import OWNER_TOKEN
from tests.interfaces.problems import problem
from tests.journeys.people import (
    Person,
    SignedIn,
    activity,
    ends_at_once,
    events_about_people,
    is_in,
    refresh,
    sign_in,
    signed_in,
)
from tests.running import Running, empty_medianest, start

FRIEND, STRANGER, CHILD = (f"stand-in-plex-{name}" for name in ("friend", "stranger", "child"))


async def sessions(client: httpx.AsyncClient, held: SignedIn, **params: Any) -> list[Any]:
    answer = await client.get("/auth/sessions", headers=held.headers, params=params)
    assert answer.status_code == 200
    return answer.json()["items"]


async def with_plex(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/auth/login", json={"plexToken": token})


def claims(token: str) -> dict[str, Any]:
    """What an access token says; whether it is true is the server's to check."""
    return jwt.decode(token, options={"verify_signature": False})


# With a password


async def test_a_password_opens_a_session_that_every_process_knows(
    person: Person, here: httpx.AsyncClient, there: httpx.AsyncClient
) -> None:
    # POST /auth/login; validateCredentials, verifyPassword, generateTokens, storeSession
    body = {"email": person.email.upper(), "password": person.password}
    answer = await here.post("/auth/login", json=body, headers={"User-Agent": "A phone"})

    # 200 OK + Set-Cookie + JWT
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    cookies = SimpleCookie("; ".join(answer.headers.get_list("Set-Cookie")))
    held = signed_in(here, answer)
    assert held.user == {"id": person.id, "email": person.email, "name": None, "role": "user"}
    header, said = jwt.get_unverified_header(held.access_token), claims(held.access_token)
    assert (header["typ"], header["alg"]) == ("at+jwt", "HS256")
    assert (said["sub"], said["aud"]) == (person.id, "medianest")
    assert said["exp"] - said["iat"] == held.expires_in
    assert cookies["medianest_access"].value == held.access_token
    assert cookies["medianest_refresh"].value == held.refresh_token

    # Protected request: verifyToken, checkTokenBlacklist, getUserPermissions; at the other process
    assert (await there.get("/auth/me", headers=held.headers)).json() == held.user
    for path, status in (("/media/requests", 200), ("/admin/users", 403)):
        assert (await there.get(path, headers=held.headers)).status_code == status

    # storeSession, logLoginActivity
    (session,) = await sessions(there, held, after=answer.headers["X-Position"])
    assert (session["id"], session["current"]) == (said["sid"], True)
    told = (await activity(there, held, "signed_in"))[0]
    for shown in (session, told):
        assert (shown["method"], shown["userAgent"], shown["address"]) == (
            "password",
            "A phone",
            "127.0.0.1",
        )
    assert told["sessionId"] == session["id"]


async def test_pages_in_a_browser_hold_cookies_that_they_cannot_read(
    person: Person, here: httpx.AsyncClient, there: httpx.AsyncClient
) -> None:
    body = {"email": person.email, "password": person.password}
    answer = await here.post("/auth/login", json=body)
    cookies = SimpleCookie("; ".join(answer.headers.get_list("Set-Cookie")))
    assert {
        name: (bool(cookie["httponly"]), cookie["samesite"]) for name, cookie in cookies.items()
    } == {
        "medianest_access": (True, "lax"),
        "medianest_refresh": (True, "strict"),
        "medianest_csrf": (False, "strict"),
    }
    assert not any(cookie["secure"] for cookie in cookies.values())  # this is plain HTTP

    there.cookies = here.cookies
    csrf = {"X-Csrf-Token": cookies["medianest_csrf"].value}
    assert (await there.get("/auth/me")).json()["id"] == person.id
    problem(await there.patch("/auth/me", json={"name": "Ann"}), 403, "csrf-token-missing")
    renamed = await there.patch("/auth/me", json={"name": "Ann"}, headers=csrf)
    assert renamed.json()["name"] == "Ann"
    problem(await there.post("/auth/refresh", json={}), 403, "csrf-token-missing")
    assert (await there.post("/auth/refresh", json={}, headers=csrf)).status_code == 200
    assert (await there.post("/auth/logout", headers=csrf)).status_code == 204
    assert not there.cookies
    problem(await there.get("/auth/me"), 401, "unauthenticated")


async def test_a_wrong_password_and_an_unknown_address_are_answered_alike(
    person: Person, here: httpx.AsyncClient, there: httpx.AsyncClient
) -> None:
    answers: list[dict[str, Any]] = []
    for email in (person.email, "nobody@example.org"):
        body = {"email": email, "password": "a guess"}
        answer = await there.post("/auth/login", json=body, headers={"User-Agent": "Guesser"})
        assert "Set-Cookie" not in answer.headers
        answers.append(problem(answer, 401, "wrong-credentials") | {"correlationId": ""})
    assert answers[0] == answers[1]
    # The owner of the account is told of it, once.
    told = await activity(here, await sign_in(here, person), "sign_in_failed")
    (failed,) = [item for item in told if item["kind"] == "sign_in_failed"]
    assert (failed["userAgent"], failed["address"]) == ("Guesser", "127.0.0.1")


# Through Plex


async def test_a_member_of_the_plex_server_is_given_one_account(
    admin: httpx.AsyncClient, here: httpx.AsyncClient, there: httpx.AsyncClient
) -> None:
    """Even when the first two sign-ins come at once, at two processes."""
    # validateToken, updateOrCreateUser
    answers = await asyncio.gather(with_plex(here, CHILD), with_plex(there, CHILD))
    first, second = (
        signed_in(client, answer) for client, answer in zip((here, there), answers, strict=True)
    )
    assert first.user == second.user
    assert (first.user["name"], first.user["email"], first.user["role"]) == ("child", None, "user")
    assert claims(first.access_token)["sid"] != claims(second.access_token)["sid"]
    position = max(answer.headers["X-Position"] for answer in answers)
    listed = (await admin.get("/admin/users", params={"after": position, "limit": 100})).json()
    assert [user["id"] for user in listed["items"] if user["name"] == "child"] == [first.user["id"]]
    assert (await activity(there, first, "signed_in"))[0]["method"] == "plex"


@pytest.mark.parametrize(
    ("token", "status", "kind"),
    [
        (STRANGER, 403, "no-access-to-server"),
        ("stand-in-unknown", 401, "bad-plex-token"),
        ("stand-in-garbled", 401, "bad-plex-token"),
        ("stand-in-expired", 401, "bad-plex-token"),
    ],
)
async def test_nobody_else_gets_in_through_plex_and_nothing_is_stored_of_them(
    running: Running, here: httpx.AsyncClient, token: str, status: int, kind: str
) -> None:
    before = events_about_people(running)
    answer = await with_plex(here, token)
    problem(answer, status, kind)
    assert "Set-Cookie" not in answer.headers
    assert events_about_people(running) == before


@pytest.mark.parametrize("fault", [Refuse(), Status(status=503), Drop(), Garbage(html=True)])
async def test_while_plex_is_away_nobody_is_signed_out(
    running: Running,
    here: httpx.AsyncClient,
    there: httpx.AsyncClient,
    fault: CallFault | Refuse,
) -> None:
    held = signed_in(here, await with_plex(here, FRIEND))
    await running.plex_tv.fail(fault)
    try:
        for answer in (await with_plex(here, FRIEND), await here.post("/auth/plex/pin")):
            problem(answer, 503, "plex-unavailable")
            assert int(answer.headers["Retry-After"]) > 0
        assert await is_in(there, held)
        again = signed_in(there, await refresh(there, held.refresh_token))
        assert await is_in(here, again)
    finally:
        await running.plex_tv.fail()
    assert (await with_plex(here, FRIEND)).status_code == 200


# With a PIN that is confirmed at Plex


async def start_pin(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.post("/auth/plex/pin")
    assert answer.status_code == 201, answer.text
    return answer.json()


async def at_plex(running: Running, method: str) -> None:
    """What a person, or time, does to a PIN; ``method`` is a path of the stand-in."""
    async with httpx.AsyncClient(trust_env=False) as browser:
        (await browser.put(f"{running.stand_ins['plexTv']}{method}")).raise_for_status()


async def test_a_pin_that_is_confirmed_at_plex_signs_in_once(
    running: Running, here: httpx.AsyncClient, there: httpx.AsyncClient
) -> None:
    pin = await start_pin(here)
    assert pin["authUrl"].startswith(f"{running.stand_ins['plexTv']}/auth#?")
    assert pin["code"] in pin["authUrl"]
    assert 0 < pin["expiresIn"] <= 1800
    path = f"/auth/plex/pin/{pin['id']}"
    assert (await there.get(path)).json() == {"status": "pending"}
    await at_plex(running, f"/confirm/{pin['code']}?username=friend")

    answers = await asyncio.gather(here.get(path), there.get(path))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 1}
    for answer in answers:
        if answer.status_code == 200:
            held = signed_in(here, answer)
            assert answer.json()["status"] == "signedIn"
            assert held.user["name"] == "friend"
            assert (await sessions(there, held, after=answer.headers["X-Position"]))[0]["current"]
        else:
            problem(answer, 409, "sign-in-used")
    problem(await there.get(path), 409, "sign-in-used")


async def test_a_pin_is_good_for_nothing_else(
    running: Running, here: httpx.AsyncClient, there: httpx.AsyncClient
) -> None:
    expired, strangers = await start_pin(here), await start_pin(here)
    await at_plex(running, f"/expire/{expired['code']}")
    number = expired["id"].partition("-")[0]
    for pin in (expired["id"], f"{number}-guessed", "999999-guessed", "nothing"):
        problem(await there.get(f"/auth/plex/pin/{pin}"), 404, "unknown-pin")
    await at_plex(running, f"/confirm/{strangers['code']}?username=stranger")
    answer = await there.get(f"/auth/plex/pin/{strangers['id']}")
    problem(answer, 403, "no-access-to-server")


# By refreshing


async def test_each_refresh_token_has_one_successor_at_whatever_process(
    person: Person, here: httpx.AsyncClient, there: httpx.AsyncClient
) -> None:
    held = await sign_in(here, person)
    chain = [held]
    for client in (there, here, there, there):
        chain.append(signed_in(client, await refresh(client, chain[-1].refresh_token)))
        assert await is_in(here, chain[-1])
    assert len({step.refresh_token for step in chain}) == len(chain)
    assert {claims(step.access_token)["sid"] for step in chain} == {
        claims(held.access_token)["sid"]
    }
    assert len(await sessions(here, chain[-1])) == 1


async def test_of_two_clients_that_refresh_at_once_one_wins(
    running: Running, person: Person, here: httpx.AsyncClient, there: httpx.AsyncClient
) -> None:
    held = await sign_in(here, person)
    for _ in range(5):
        answers = await asyncio.gather(
            *(refresh(client, held.refresh_token) for client in (here, there))
        )
        # The other one is answered alike: it may be the same client, who has lost the answer.
        first, second = (signed_in(here, answer) for answer in answers)
        assert first.refresh_token == second.refresh_token != held.refresh_token
        held = first
    assert await is_in(here, held)
    assert await is_in(there, held)
    session_id = UUID(claims(held.access_token)["sid"])
    with running.connect() as connection:
        topics = connection.execute(
            "SELECT topic FROM events WHERE originator_id = %s ORDER BY originator_version",
            (session_id,),
        ).fetchall()
    assert topics == [("session.opened",), *[("session.refreshed",)] * 5]


async def test_a_client_that_lost_the_answer_may_ask_again(
    person: Person, here: httpx.AsyncClient, there: httpx.AsyncClient
) -> None:
    held = await sign_in(here, person)
    lost = signed_in(here, await refresh(here, held.refresh_token))
    for client in (here, there):
        again = signed_in(client, await refresh(client, held.refresh_token))
        assert again.refresh_token == lost.refresh_token
        assert await is_in(client, again)
    assert await is_in(there, signed_in(there, await refresh(there, lost.refresh_token)))


async def test_a_reused_token_closes_the_session_for_both_who_have_it(
    person: Person, here: httpx.AsyncClient, there: httpx.AsyncClient
) -> None:
    stolen = await sign_in(here, person)
    second = signed_in(here, await refresh(here, stolen.refresh_token))
    owners = signed_in(here, await refresh(here, second.refresh_token))
    # The owner and the thief refresh at once, at two processes.
    by_owner, by_thief = await asyncio.gather(
        refresh(here, owners.refresh_token), refresh(there, stolen.refresh_token)
    )
    problem(by_thief, 401, "session-over")
    assert by_owner.status_code in {200, 401}
    newest = signed_in(here, by_owner) if by_owner.status_code == 200 else owners
    for client in (here, there):
        await ends_at_once(client, newest)
        problem(await refresh(client, newest.refresh_token), 401, "session-over")

    # The owner is told, and can sign in again.
    again = await sign_in(there, person)
    kinds = [item["kind"] for item in await activity(there, again, "refresh_token_reused")]
    assert Counter(kinds) == {"signed_in": 2, "refresh_token_reused": 1}
    assert len(await sessions(there, again)) == 1


# The first admin


def set_up_form(token: str, name: str) -> dict[str, str]:
    return {"token": token, "email": f"{name}@example.org", "password": f"password of {name}"}


async def test_the_first_admin_is_whoever_has_the_set_up_token_not_whoever_comes_first(
    tmp_path: Path,
) -> None:
    async with (
        empty_medianest(tmp_path, "--api", "2") as (running, _),
        running.client_at(running.pids("api")[0]) as here,
        running.client_at(running.pids("api")[1]) as there,
    ):
        # Not even the owner of the Plex server, who is the first to sign in.
        owner = signed_in(here, await with_plex(here, OWNER_TOKEN))
        assert owner.user["role"] == "user"
        problem(await here.get("/admin/users", headers=owner.headers), 403, "forbidden")
        token = running.setup_token
        assert token is not None
        for wrong in (f"{token[:-1]}{'A' if token[-1] != 'A' else 'B'}", "a guess"):
            answer = await here.post("/auth/setup", json=set_up_form(wrong, "mallory"))
            problem(answer, 401, "wrong-setup-token")

        # It works once, even when it is used twice at once.
        answers = await asyncio.gather(
            *(
                client.post("/auth/setup", json=set_up_form(token, name))
                for client, name in ((here, "ann"), (there, "bob"))
            )
        )
        (made,) = [answer for answer in answers if answer.status_code == 201]
        admin = signed_in(here, made)
        assert admin.user["role"] == "admin"
        there.cookies.clear()
        for client in (here, there):
            answer = await client.post("/auth/setup", json=set_up_form(token, "late"))
            problem(answer, 401, "wrong-setup-token")
            listed = (await client.get("/admin/users", headers=admin.headers)).json()["items"]
            assert [user["role"] for user in listed] == ["admin", "user"]


async def test_the_set_up_token_is_printed_until_there_is_an_admin(tmp_path: Path) -> None:
    (former,) = re.findall(r"set-up token: (mns_\S+)", await printed_by_up(tmp_path, lines=4))
    async with empty_medianest(tmp_path) as (running, _), running.client(None) as client:
        assert running.setup_token not in {None, former}
        answer = await client.post("/auth/setup", json=set_up_form(former, "ann"))
        problem(answer, 401, "wrong-setup-token")
        form = set_up_form(running.setup_token or "", "ann")
        assert (await client.post("/auth/setup", json=form)).status_code == 201
    assert "set-up" not in await printed_by_up(tmp_path, lines=1)


async def printed_by_up(folder: Path, *, lines: int) -> str:
    """What ``up`` prints when it is ready, and before it is stopped."""
    process = await start(["up", "--port", "0", "--data-dir", str(folder)])
    assert process.stdout is not None
    async with asyncio.timeout(60):
        text = [(await process.stdout.readline()).decode() for _ in range(lines)]
    process.terminate()
    async with asyncio.timeout(30):
        rest, _ = await process.communicate()
    return "".join(text) + rest.decode()
