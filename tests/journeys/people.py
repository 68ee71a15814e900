"""People of a running MediaNest: how they get their accounts, and how they sign in."""

import asyncio
from itertools import count
from typing import Any

import httpx
import msgspec

from tests.running import Running, run

AT_ONCE = 1.0
"""Seconds within which a session that is closed must have ended everywhere."""

_numbers = count(1)


class Person(msgspec.Struct, frozen=True):
    """Somebody who has an account with a password."""

    id: str
    email: str
    password: str


class SignedIn(msgspec.Struct, frozen=True, rename="camel"):
    """What somebody holds who is signed in."""

    access_token: str
    refresh_token: str
    expires_in: int
    user: dict[str, Any]
    position: int = 0

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access_token}"}


async def add_person(running: Running) -> Person:
    """Open an account as an operator does."""
    number = next(_numbers)
    email, password = f"person{number}@example.org", f"the password of person {number}"
    folder = ("--data-dir", str(running.data_dir))
    status, out, error = await run(
        "accounts", "add", email, "--password-stdin", *folder, stdin=f"{password}\n".encode()
    )
    assert status == 0, error
    return Person(out.strip(), email, password)


async def sign_in(client: httpx.AsyncClient, person: Person, **headers: str) -> SignedIn:
    """Sign in with the password, as a program that keeps no cookies."""
    body = {"email": person.email, "password": person.password}
    return signed_in(client, await client.post("/auth/login", json=body, headers=headers))


def signed_in(client: httpx.AsyncClient, answer: httpx.Response) -> SignedIn:
    """What an answer brings that has let somebody in."""
    assert answer.is_success, answer.text
    client.cookies.clear()
    held = msgspec.json.decode(answer.content, type=SignedIn)
    return msgspec.structs.replace(held, position=int(answer.headers["X-Position"]))


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    """Use a refresh token, as a program that keeps no cookies."""
    answer = await client.post("/auth/refresh", json={"refreshToken": token})
    client.cookies.clear()
    return answer


async def is_in(client: httpx.AsyncClient, held: SignedIn) -> bool:
    """Whether the access token opens anything."""
    answer = await client.get("/auth/me", headers=held.headers)
    assert answer.status_code in {200, 401}, answer.text
    return answer.status_code == 200


async def ends_at_once(client: httpx.AsyncClient, held: SignedIn) -> None:
    """Wait until the access token opens nothing, which must not take longer than AT_ONCE."""
    async with asyncio.timeout(AT_ONCE):
        while await is_in(client, held):
            await asyncio.sleep(0.01)


async def activity(client: httpx.AsyncClient, held: SignedIn, until: str) -> list[dict[str, Any]]:
    """What is told of one's account, newest first, as soon as it tells of ``until``."""
    async with asyncio.timeout(15):
        while True:
            answer = await client.get("/auth/activity", headers=held.headers)
            items: list[dict[str, Any]] = answer.json()["items"]
            if until in {item["kind"] for item in items}:
                return items
            await asyncio.sleep(0.02)


def events_about_people(running: Running) -> int:
    """How many events tell of accounts, of what people sign in by, and of their sessions."""
    with running.connect() as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM events WHERE topic SIMILAR TO '(account|identity|session).%'"
        ).fetchone() or (0,)
    return count
