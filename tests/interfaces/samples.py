"""A well-formed request to every route, so that who may make it is all that is left to ask."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec

from application.media_requests import Wish
from application.ports import ForwardingFailure, Title
from application.ports.notifiers import Ntfy
from domain.accounts import Role
from domain.alerts import alert_id
from domain.api_keys import Scope
from domain.media_requests import DeclineRequest, ForwardingProblem, Media, MediaType
from tests.fakes import new_id, now
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


async def a_failed_request(house: House, owner: Person) -> UUID:
    request_id = UUID(str(await a_request(house, owner)))
    house.forwarder.failure = ForwardingFailure(ForwardingProblem.REFUSED, "No.")
    await house.forward(request_id)
    house.forwarder.failure = None
    return request_id


async def a_declined_request(house: House, owner: Person) -> UUID:
    request_id = UUID(str(await a_request(house, owner)))
    command = DeclineRequest(owner.id, "No room.")
    await house.use_cases.change(request_id, command, context("system:test"))
    return request_id


async def a_notification(house: House, owner: Person) -> UUID:
    request_id, known = await a_request(house, owner), set(house.notification_list.rows())
    await decline(house, request_id)
    ((of,),) = (
        key
        for key, row in house.notification_list.rows().items()
        if key not in known and row.account_id == owner.id
    )
    return of


async def decline(house: House, request_id: str | UUID) -> None:
    """Somebody says no, and who asked is told."""
    command = DeclineRequest(new_id(), "No room.")
    await house.use_cases.change(UUID(str(request_id)), command, context("system:test"))
    await house.settle()


async def a_channel(house: House, owner: Person) -> UUID:
    channel_id, _ = await house.choices.add_channel(
        owner.id, Role.USER, "A channel", Ntfy("here"), context(f"account:{owner.id}")
    )
    return channel_id


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
_REQUEST = "/api/v1/media/requests/{request_id:uuid}"
_CHANNEL = "/api/v1/notifications/channels/{channel_id:uuid}"
_JUDGED = "/api/v1/admin/requests/{request_id:uuid}"

SAMPLES = {
    **SEEN_FROM_OUTSIDE,
    **{route.replace(" ", " /api/v1"): sample for route, sample in SEEN_FROM_OUTSIDE.items()},
    "GET /metrics": Sample(),
    "GET /api/v1/ws": Sample(answer="upgrade-required"),
    "POST /api/v1/webhooks/overseerr": Sample(body=says(media=None), answer="wrong-webhook-secret"),
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
    "GET /api/v1/notifications": Sample(),
    "POST /api/v1/notifications/{notification_id:uuid}/read": Sample(
        thing=a_notification, answer=204, matter=True, unknown="unknown-notification"
    ),
    "POST /api/v1/notifications/read-all": Sample(answer=204),
    "GET /api/v1/notifications/deliveries": Sample(),
    "GET /api/v1/notifications/preferences": Sample(),
    "PUT /api/v1/notifications/preferences": Sample(body=says(items=[])),
    "GET /api/v1/notifications/channels": Sample(),
    "POST /api/v1/notifications/channels": Sample(
        body=says(name="Mine", address={"type": "ntfy", "topic": "here"}), answer=201
    ),
    f"PATCH {_CHANNEL}": Sample(
        thing=a_channel, body=says(on=False), matter=True, unknown="unknown-channel"
    ),
    f"DELETE {_CHANNEL}": Sample(
        thing=a_channel, answer=204, matter=True, unknown="unknown-channel"
    ),
    f"POST {_CHANNEL}/test": Sample(thing=a_channel, matter=True, unknown="unknown-channel"),
    "GET /api/v1/media/search": Sample(query="?q=matrix"),
    "GET /api/v1/media/movie/{tmdb_id:int}": Sample(thing=always("603")),
    "GET /api/v1/media/tv/{tmdb_id:int}": Sample(thing=always("95396")),
    "POST /api/v1/media/request": Sample(body=wish, answer=201),
    "GET /api/v1/media/requests": Sample(query="?requestedBy={owner}", matter=True),
    f"GET {_REQUEST}": Sample(thing=a_request, matter=True),
    f"GET {_REQUEST}/history": Sample(thing=a_request, matter=True),
    "GET /api/v1/media/requests/counts": Sample(query="?requestedBy={owner}", matter=True),
    "GET /api/v1/media/quota": Sample(),
    f"GET {_USER}/quota": Sample(thing=the_account),
    f"PUT {_USER}/quota": Sample(thing=the_account, body=says(mediaType="tv", limit=3)),
    f"DELETE {_USER}/quota": Sample(thing=the_account, query="?mediaType=tv", answer=204),
    f"POST {_REQUEST}/follow": Sample(thing=a_request),
    f"DELETE {_REQUEST}/follow": Sample(thing=a_request, answer=204),
    f"DELETE {_REQUEST}": Sample(thing=a_request, answer=204, matter=True),
    f"POST {_REQUEST}/retry": Sample(thing=a_failed_request, matter=True),
    "GET /api/v1/admin/requests/export": Sample(query="?format=csv"),
    f"POST {_JUDGED}/approve": Sample(thing=a_request),
    f"POST {_JUDGED}/decline": Sample(thing=a_request, body=says(reason="No room.")),
    f"POST {_JUDGED}/reopen": Sample(thing=a_declined_request),
    f"POST {_JUDGED}/fulfil": Sample(thing=a_request),
}
"""By method and path template; a route that is not here lets the tests fail."""
