"""Every kind of caller there is, as they come to the doors, and what the table says of each."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from functools import partial
from itertools import combinations
from uuid import UUID

import msgspec

from application.ports import NewEvents
from application.sign_in import SignedIn
from domain.accounts import Role
from domain.api_keys import ApiKeyMade, Scope
from domain.kernel import Event, Metadata
from domain.permissions import PERMISSIONS, Action, Whose
from domain.sessions import SessionOpened, SessionOver, SignInMethod
from infrastructure.security.opaque_tokens import OpaqueTokenMint
from interfaces.http.entrance import csrf_token
from tests.fakes import new_id, now
from tests.interfaces.house import AT_HOME, PASSWORD, SECRET, House, Person, context

Headers = dict[str, str]
Arrive = Callable[[House, Person], Awaitable[Headers]]

LONG_AGO = timedelta(days=40)
"""Longer than a session lives without a refresh."""
A_SECOND = timedelta(seconds=1)


class Verdict(StrEnum):
    """What the entrance says; a refusal by the type of its problem."""

    ALLOWED = "allowed"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of caller.

    ``role`` is the account's as of now, and ``was`` the one in which the person signed in, if it
    was another. ``stands`` says whether what they show is worth anything, ``scopes`` are those of
    an API key. ``arrive`` lets happen what makes a person one of the kind, and gives the headers.
    """

    name: str
    role: Role
    arrive: Arrive
    was: Role | None = None
    stands: bool = True
    scopes: frozenset[Scope] | None = None
    by_cookie: bool = False

    async def person(self, house: House, email: str) -> Person:
        """Somebody who is to become one of the kind."""
        return await house.person(email, self.was or self.role)

    async def show(self, house: House, person: Person) -> Headers:
        """The headers of the person, who is one of the kind from now on."""
        headers = await self.arrive(house, person)
        if self.was is not None:
            await house.accounts.grant(person.id, self.role, context("system:test"))
        return headers

    def verdict(self, action: Action, whose: Whose) -> Verdict:
        """What the table says; worked out here once more, without the code under test."""
        rule = PERMISSIONS[action]
        if rule.anyone:
            return Verdict.ALLOWED
        if not self.stands:
            return Verdict.UNAUTHENTICATED
        if self.scopes is not None and rule.scope not in self.scopes:
            return Verdict.FORBIDDEN
        touched = {Role.USER: rule.user, Role.ADMIN: rule.admin}[self.role]
        return Verdict.ALLOWED if whose in touched else Verdict.FORBIDDEN


def cookies(house: House, signed_in: SignedIn) -> Headers:
    """What our own page in a browser sends with a change."""
    return {
        "Cookie": f"medianest_access={signed_in.access.token}",
        "X-Csrf-Token": csrf_token(house.pseudonym, signed_in.session_id),
    }


# How they arrive


async def _with_nothing(house: House, person: Person) -> Headers:
    return {}


async def _with_token(house: House, person: Person) -> Headers:
    return person.headers


async def _with_cookies(house: House, person: Person) -> Headers:
    return cookies(house, person.signed_in)


async def _with_key(house: House, person: Person, *, scopes: frozenset[Scope]) -> Headers:
    return await house.api_key(person, *sorted(scopes))


async def _suspended(house: House, person: Person) -> Headers:
    await house.accounts.suspend(person.id, context("system:test"))
    return person.headers


async def _restored(house: House, person: Person) -> Headers:
    await house.accounts.suspend(person.id, context("system:test"))
    await house.accounts.restore(person.id, context("system:test"))
    return person.headers


async def _forgotten(house: House, person: Person) -> Headers:
    await house.accounts.forget(person.id, context("system:test"))
    return person.headers


async def _signed_out(house: House, person: Person) -> Headers:
    async with house.client(person) as client:
        assert (await client.post("/api/v1/auth/logout")).status_code == 204
    return person.headers


async def _closed_elsewhere(house: House, person: Person) -> Headers:
    session_id = person.signed_in.session_id
    await house.sign_in.close(person.id, session_id, context(f"account:{person.id}"))
    return person.headers


async def _ended_everywhere(house: House, person: Person) -> Headers:
    await house.accounts.end_sessions(person.id, context("system:test"))
    return person.headers


async def _cookies_of_a_closed_session(house: House, person: Person) -> Headers:
    await _closed_elsewhere(house, person)
    return cookies(house, person.signed_in)


async def _new_password_elsewhere(house: House, person: Person) -> Headers:
    elsewhere = await house.again(person.id, person.email)
    async with house.client(elsewhere) as client:
        form = {"password": PASSWORD, "newPassword": f"new {PASSWORD}"}
        assert (await client.post("/api/v1/auth/password", json=form)).status_code == 204
    return person.headers


async def _reused_refresh_token(house: House, person: Person) -> Headers:
    async def refresh(token: str) -> str:
        signed_in = await house.sign_in.refresh(token, AT_HOME, context("anonymous"))
        return signed_in.refresh_token

    first = person.signed_in.refresh_token
    await refresh(await refresh(first))
    with suppress(SessionOver):
        await refresh(first)
    return person.headers


async def _expired_token(house: House, person: Person) -> Headers:
    return {"Authorization": f"Bearer {house.token_for(person, -A_SECOND)}"}


async def _old_session(house: House, person: Person, *, left: timedelta) -> Headers:
    """A new token of a session that ends in ``left``."""
    session_id, then = new_id(), now() - LONG_AGO
    opened = SessionOpened(person.id, 0, SignInMethod.PASSWORD, "digest", then, now() + left)
    await _store(house, opened, session_id)
    return {"Authorization": f"Bearer {house.tokens.issue(person.id, session_id).token}"}


async def _old_key(house: House, person: Person, *, left: timedelta) -> Headers:
    """A key with every scope that ends in ``left``."""
    token = OpaqueTokenMint(SECRET, "mnk").make(new_id())
    made = ApiKeyMade(person.id, "sealed", tuple(Scope), token.digest, now() + left)
    await _store(house, made, token.id)
    return {"X-Api-Key": token.token}


async def _revoked_keys(house: House, person: Person) -> Headers:
    for row in await house.api_key_list.of(person.id):
        await house.api_keys.revoke(person.id, row.id, context(f"account:{person.id}"))
    return {}


async def _key_after(house: House, person: Person, *, what: Arrive) -> Headers:
    """A key with every scope, made before ``what`` happens to its owner."""
    headers = await house.api_key(person, *Scope)
    await what(house, person)
    return headers


async def _store(house: House, event: Event, stream_id: UUID) -> None:
    """Let an event have happened long ago."""
    metadata = Metadata(new_id(), now() - LONG_AGO, "system:test", "test", new_id())
    await house.store.append(NewEvents(stream_id, 0, metadata.command_id, [(metadata, event)]))


# Who there is

SESSION_ENDS: dict[str, Arrive] = {
    "suspended": _suspended,
    "suspended and restored": _restored,
    "forgotten": _forgotten,
    "signed out": _signed_out,
    "closed elsewhere": _closed_elsewhere,
    "signed out everywhere": _ended_everywhere,
    "new password elsewhere": _new_password_elsewhere,
    "reused refresh token": _reused_refresh_token,
}
"""What ends the session in which a person has signed in."""
KEY_ENDS: dict[str, Arrive] = {
    "suspended": _suspended,
    "forgotten": _forgotten,
    "revoked": _revoked_keys,
}
"""What ends every API key of a person."""
ALL_SCOPES = frozenset(Scope)
SETS_OF_SCOPES = [
    frozenset(chosen) for size in range(len(Scope) + 1) for chosen in combinations(Scope, size)
]


def _keys() -> list[Kind]:
    return [
        Kind(
            name=f"key of {role} for {' and '.join(sorted(scopes)) or 'nothing'}",
            role=role,
            arrive=partial(_with_key, scopes=scopes),
            scopes=scopes,
        )
        for role in Role
        for scopes in SETS_OF_SCOPES
    ]


def _of_each_role(arrivals: dict[str, Arrive]) -> list[Kind]:
    return [
        Kind(name=f"{role}: {name}", role=role, arrive=arrive, stands=False)
        for name, arrive in arrivals.items()
        for role in Role
    ]


SIGNED_IN = [
    *(Kind(name=f"{role} by token", role=role, arrive=_with_token) for role in Role),
    Kind(name="promoted user", role=Role.ADMIN, was=Role.USER, arrive=_with_token),
    Kind(name="demoted admin", role=Role.USER, was=Role.ADMIN, arrive=_with_token),
    Kind(
        name="session that ends tomorrow",
        role=Role.ADMIN,
        arrive=partial(_old_session, left=timedelta(days=1)),
    ),
]
BROWSERS = [
    Kind(name=f"{role} by cookie", role=role, arrive=_with_cookies, by_cookie=True) for role in Role
]
KEYS = [
    *_keys(),
    Kind(
        name="key of a demoted admin",
        role=Role.USER,
        was=Role.ADMIN,
        arrive=partial(_with_key, scopes=ALL_SCOPES),
        scopes=ALL_SCOPES,
    ),
    *(
        Kind(name=name, role=Role.ADMIN, arrive=arrive, scopes=ALL_SCOPES)
        for name, arrive in {
            "key of who has signed out everywhere": partial(_key_after, what=_ended_everywhere),
            "key of a restored account": partial(_key_after, what=_restored),
            "key that ends tomorrow": partial(_old_key, left=timedelta(days=1)),
        }.items()
    ),
]
NOBODY = Kind(name="nobody", role=Role.USER, arrive=_with_nothing, stands=False)
OUTSIDE = [
    *_of_each_role(SESSION_ENDS),
    *_of_each_role(
        {f"key: {name}": partial(_key_after, what=what) for name, what in KEY_ENDS.items()}
    ),
    *_of_each_role(
        {
            "expired token": _expired_token,
            "expired session": partial(_old_session, left=-A_SECOND),
            "expired key": partial(_old_key, left=-A_SECOND),
        }
    ),
]
BROWSERS_OUTSIDE = _of_each_role({"closed session by cookie": _cookies_of_a_closed_session})

KINDS = [NOBODY, *SIGNED_IN, *BROWSERS, *KEYS, *OUTSIDE, *BROWSERS_OUTSIDE]
