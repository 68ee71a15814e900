"""What an operator does on the command line beside a running ``up``, and how it is felt there."""

import asyncio
from pathlib import Path

import httpx
import jwt
import msgspec
import pytest

from tests.interfaces.problems import problem
from tests.journeys.people import (
    Person,
    ends_at_once,
    events_about_people,
    is_in,
    refresh,
    sign_in,
    signed_in,
)
from tests.running import Running, run


async def command(running: Running, *words: str, stdin: bytes = b"", status: int = 0) -> str:
    """What a command prints when it ends with this status; what it complains of otherwise."""
    folder = ("--data-dir", str(running.data_dir))
    found, out, error = await run(*words, *folder, stdin=stdin)
    assert found == status, error
    assert "Traceback" not in error
    if status:
        assert out == ""
        return error
    assert error == ""
    return out


async def test_an_account_is_opened_listed_and_used(
    running: Running, here: httpx.AsyncClient
) -> None:
    out = await command(
        running,
        *("accounts", "add", " Ann@Operator.example ", "--admin", "--password-stdin"),
        stdin=b"correct horse\n",
    )
    ann = Person(out.strip(), "ann@operator.example", "correct horse")
    held = await sign_in(here, ann)
    assert (held.user["id"], held.user["role"]) == (ann.id, "admin")
    answer = await here.get("/admin/users", headers=held.headers)
    assert answer.status_code == 200

    lines = (await command(running, "accounts", "list")).splitlines()
    (line,) = [line for line in lines if ann.id in line]
    assert line.split() == [ann.id, "admin", "active", "Ann@Operator.example"]
    listed = msgspec.json.decode(await command(running, "accounts", "list", "--json"))
    assert [account for account in listed if account["id"] == ann.id] == [
        {
            "id": ann.id,
            "role": "admin",
            "state": "active",
            "email": "Ann@Operator.example",
            "name": None,
        }
    ]
    assert len(listed) == len(lines)


async def test_a_role_that_is_granted_counts_in_the_session_that_is_open(
    running: Running, person: Person, here: httpx.AsyncClient, there: httpx.AsyncClient
) -> None:
    held = await sign_in(here, person)
    for role, status in (("admin", 200), ("user", 403)):
        out = await command(running, "accounts", "grant", person.email, role)
        assert out.split() == [person.id, role, "active"]
        for client in (here, there):
            async with asyncio.timeout(1):
                while (
                    await client.get("/admin/users", headers=held.headers)
                ).status_code != status:
                    await asyncio.sleep(0.01)


async def test_who_is_suspended_is_out_at_once_until_restored(
    running: Running, person: Person, here: httpx.AsyncClient, there: httpx.AsyncClient
) -> None:
    held = await sign_in(here, person)
    out = await command(running, "accounts", "suspend", person.email.upper())
    assert out.split() == [person.id, "user", "suspended"]
    body = {"email": person.email, "password": person.password}
    for client in (here, there):
        await ends_at_once(client, held)
        problem(await refresh(client, held.refresh_token), 401, "session-over")
        problem(await client.post("/auth/login", json=body), 403, "account-suspended")
    out = await command(running, "accounts", "restore", person.email)
    assert out.split() == [person.id, "user", "active"]
    assert await is_in(there, await sign_in(here, person))
    assert not await is_in(there, held)


@pytest.mark.parametrize("change", ["suspend", "restore", "grant"])
async def test_who_has_no_account_is_told_so(running: Running, change: str) -> None:
    role = ("user",) if change == "grant" else ()
    error = await command(running, "accounts", change, "nobody@example.org", *role, status=1)
    assert error == "medianest: There is no such account.\n"


@pytest.mark.parametrize(
    ("words", "password", "complaint"),
    [
        (("eve at example.org",), b"long enough", "It must be an e-mail address."),
        (("@example.org",), b"long enough", "It must be an e-mail address."),
        (("two eves@example.org",), b"long enough", "It must be an e-mail address."),
        ((f"{'e' * 320}@example.org",), b"long enough", "It must be an e-mail address."),
        (("eve@example.org",), b"short", "needs at least 8 characters"),
        (("eve@example.org",), b"", "needs at least 8 characters"),
        (("eve@example.org",), b"long" * 257, "at most 1024 characters"),
        (("eve@example.org",), b"long enough \xff", "must be in UTF-8"),
        (("eve@example.org", "--role"), b"long enough", "No such option"),
        ((), b"long enough", "Missing argument 'EMAIL'"),
    ],
)
async def test_an_account_that_cannot_be_opened_is_refused_with_the_reason(
    running: Running, words: tuple[str, ...], password: bytes, complaint: str
) -> None:
    before = events_about_people(running)
    arguments = ("accounts", "add", *words, "--password-stdin")
    assert complaint in await command(running, *arguments, stdin=password, status=2)
    assert events_about_people(running) == before


async def test_an_address_belongs_to_one_account(running: Running, person: Person) -> None:
    arguments = ("accounts", "add", person.email.title(), "--password-stdin")
    error = await command(running, *arguments, stdin=b"long enough", status=1)
    assert error.startswith("medianest: ")
    assert "already an account" in error


async def test_a_role_that_does_not_exist_names_those_that_do(running: Running) -> None:
    error = await command(running, "accounts", "grant", "eve@example.org", "king", status=2)
    assert "'king' is not one of" in error
    assert all(role in error for role in ("'user'", "'admin'"))


@pytest.mark.parametrize("words", [("accounts", "list"), ("keys", "rotate")])
async def test_without_a_running_one_it_is_said_what_is_missing(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    status, out, error = await run(*words, "--data-dir", str(tmp_path))
    assert (status, out) == (2, "")
    assert "is not set, and no MediaNest runs in" in error


def kid(access_token: str) -> str:
    """The key that has signed the token."""
    return jwt.get_unverified_header(access_token)["kid"]


def let_time_pass(running: Running, seconds: int) -> None:
    """Let the signing keys have been made, and retired, so much earlier."""
    with running.connect() as connection:
        connection.execute(
            "UPDATE signing_keys SET made_at = made_at - make_interval(secs => %s),"
            " retired_at = retired_at - make_interval(secs => %s)",
            (seconds, seconds),
        )


async def test_a_new_key_signs_the_next_tokens_and_those_of_the_old_one_are_good_to_their_end(
    running: Running, person: Person
) -> None:
    async with running.client(None) as client:
        old = held = await sign_in(client, person)
        new_kid = (await command(running, "keys", "rotate")).strip()
        assert new_kid != kid(old.access_token)
        # No process signs with it before all have heard of it.
        held = signed_in(client, await refresh(client, held.refresh_token))
        assert kid(held.access_token) == kid(old.access_token)

    let_time_pass(running, 31)
    for pid in running.pids("api"):
        async with running.client_at(pid) as place, asyncio.timeout(30):
            held = signed_in(place, await refresh(place, held.refresh_token))
            while kid(held.access_token) != new_kid:
                await asyncio.sleep(0.2)
                held = signed_in(place, await refresh(place, held.refresh_token))
    for pid in running.pids("api"):
        async with running.client_at(pid) as place:
            assert await is_in(place, held)
            assert await is_in(place, old)

    # A token outlives the key that has signed it by no more than its own lifetime.
    let_time_pass(running, old.expires_in)
    for pid in running.pids("api"):
        async with running.client_at(pid) as place, asyncio.timeout(30):
            while await is_in(place, old):
                await asyncio.sleep(0.2)
            assert await is_in(place, held)
