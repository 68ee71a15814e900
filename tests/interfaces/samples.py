"""A well-formed request to every route, so that who may make it is all that is left to ask."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec

from application.media_requests import Wish
from application.ports import Title
from domain.alerts import alert_id
from domain.api_keys import Scope
from domain.media_requests import Media, MediaType
from tests.fakes import now
from tests.interfaces.house import PASSWORD, House, Person, context, film

Thing = Callable[[House, Person], Awaitable[str | UUID]]
Body = Callable[[House, Person], dict[str, Any]]

_PARAMETER = re.compile(r"\{\w+:\w+\}")


class Ask(msgspec.Struct, frozen=True):
    """A request to be made."""

    method: str
    path: str
    body: dict[str, Any] | None = None

    async def by(self, house: House, headers: dict[str, str]) -> httpx.Response:
        """The answer to who shows the headers."""
        async with house.client() as client:
            return await client.request(self.method, self.path, headers=headers, json=self.body)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A request to a route, and the ``answer`` to who may make it: a status, or a problem's type.

    ``thing`` makes what the path names. What is made, and the ``body``, belong to a person; they
    ``matter`` where the table may tell the person's own from others'. ``unknown`` is the problem of
    a route to which the things of others do not exist.
    """

    answer: int | str = 200
    thing: Thing | None = None
    query: str = ""
    body: Body | None = None
    matter: bool = False
    unknown: str | None = None

    async def of(self, house: House, route: str, owner: Person) -> Ask:
        """The request about what is the owner's."""
        method, _, path = route.partition(" ")
        if self.thing is not None:
            path = _PARAMETER.sub(str(await self.thing(house, owner)), path)
        path += self.query.format(owner=owner.id)
        return Ask(method, path, self.body(house, owner) if self.body else None)


# What paths name


def always(text: str) -> Thing:
    async def thing(house: House, owner: Person) -> str:
        return text

    return thing


async def the_account(house: House, owner: Person) -> UUID:
    return owner.id


async def a_session(house: House, owner: Person) -> UUID:
    return (await house.again(owner.id, owner.email)).signed_in.session_id


async def a_key(house: House, owner: Person) -> UUID:
    tomorrow = now() + timedelta(days=1)
    key_id, _, _ = await house.api_keys.make(
        owner.id, "a key", (Scope.READ,), tomorrow, context(f"account:{owner.id}")
    )
    return key_id


async def an_alert(house: House, owner: Person) -> UUID:
    subject = f"of {owner.email}"
    await house.doors.alerts.raise_alert("error", subject, "Oh", "No.", context("system:test"))
    return alert_id("error", subject)


async def a_request(house: House, owner: Person) -> UUID:
    wish = Wish(a_new_film(house))
    request_id, _ = await house.use_cases.request_media(
        wish, owner.id, context(f"account:{owner.id}")
    )
    return request_id


def a_new_film(house: House) -> Media:
    """A film that nobody has asked for."""
    media = Media(MediaType.MOVIE, 1000 + len(house.catalogue.titles))
    house.catalogue.titles[media] = Title("A film")
    return media


# What bodies say


def wish(house: House, owner: Person) -> dict[str, Any]:
    return film(a_new_film(house).tmdb_id)


def credentials(house: House, owner: Person) -> dict[str, Any]:
    return {"email": owner.email, "password": PASSWORD}


def set_up(house: House, owner: Person) -> dict[str, Any]:
    return {"token": "mns_guess", "email": "boss@example.org", "password": PASSWORD}


def refresh(house: House, owner: Person) -> dict[str, Any]:
    return {"refreshToken": owner.signed_in.refresh_token}


def says(**fields: Any) -> Body:
    def body(house: House, owner: Person) -> dict[str, Any]:
        return fields

    return body


SEEN_FROM_OUTSIDE = {
    "GET /health/live": Sample(),
    "GET /health/ready": Sample(),
    "GET /schema/openapi.json": Sample(),
    "GET /docs": Sample(),
    "GET /docs/assets/{name:str}": Sample(thing=always("swagger-ui.css")),
}
_USER = "/api/v1/admin/users/{account_id:uuid}"

SAMPLES = {
    **SEEN_FROM_OUTSIDE,
    **{route.replace(" ", " /api/v1"): sample for route, sample in SEEN_FROM_OUTSIDE.items()},
    "GET /metrics": Sample(),
    "GET /api/v1/ws": Sample(answer="upgrade-required"),
    "POST /api/v1/auth/login": Sample(body=credentials),
    "POST /api/v1/auth/setup": Sample(body=set_up, answer="wrong-setup-token"),
    "POST /api/v1/auth/plex/pin": Sample(answer=201),
    "GET /api/v1/auth/plex/pin/{pin:str}": Sample(thing=always("7-CODE")),
    "POST /api/v1/auth/refresh": Sample(body=refresh),
    "GET /api/v1/auth/me": Sample(),
    "PATCH /api/v1/auth/me": Sample(body=says(name="Somebody")),
    "POST /api/v1/auth/password": Sample(
        body=says(password=PASSWORD, newPassword=f"new {PASSWORD}"), answer=204
    ),
    "POST /api/v1/auth/logout": Sample(answer=204),
    "GET /api/v1/auth/sessions": Sample(),
    "DELETE /api/v1/auth/sessions/{session_id:uuid}": Sample(
        thing=a_session, answer=204, matter=True, unknown="unknown-session"
    ),
    "GET /api/v1/auth/activity": Sample(),
    "GET /api/v1/auth/keys": Sample(),
    "POST /api/v1/auth/keys": Sample(body=says(name="Mine", scopes=["read"]), answer=201),
    "DELETE /api/v1/auth/keys/{key_id:uuid}": Sample(
        thing=a_key, answer=204, matter=True, unknown="unknown-api-key"
    ),
    "GET /api/v1/admin/users": Sample(),
    f"GET {_USER}": Sample(thing=the_account, matter=True),
    f"PATCH {_USER}": Sample(thing=the_account, body=says(role="admin"), matter=True),
    f"POST {_USER}/suspend": Sample(thing=the_account, matter=True),
    f"POST {_USER}/restore": Sample(thing=the_account, matter=True),
    f"POST {_USER}/sign-out": Sample(thing=the_account, answer=204, matter=True),
    f"DELETE {_USER}": Sample(thing=the_account, answer=204, matter=True),
    "GET /api/v1/admin/rate-limits": Sample(),
    "PUT /api/v1/admin/rate-limits/{policy:str}": Sample(
        thing=always("general"), body=says(limit=90_000, windowSeconds=60)
    ),
    "GET /api/v1/admin/errors": Sample(),
    "GET /api/v1/admin/alerts": Sample(),
    "POST /api/v1/admin/alerts/{alert_id:uuid}/acknowledge": Sample(thing=an_alert),
    "POST /api/v1/media/request": Sample(body=wish, answer=201),
    "GET /api/v1/media/requests": Sample(query="?requestedBy={owner}", matter=True),
    "GET /api/v1/media/requests/{request_id:uuid}": Sample(thing=a_request, matter=True),
    "GET /api/v1/media/requests/{request_id:uuid}/history": Sample(thing=a_request, matter=True),
}
"""By method and path template; a route that is not here lets the tests fail."""
