"""A whole house in memory behind its doors, for tests of what people reach."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import httpx
import msgspec

from application.accounts import Accounts
from application.effects import ForwardRequest, Job
from application.execute import Context, Executor
from application.media_requests import MediaRequests
from application.ports import Title
from domain.accounts import Role
from domain.media_requests import Media, MediaType
from infrastructure.security import JwtAccessTokens
from interfaces.doors import Doors
from interfaces.http.app import Application, build_app
from interfaces.views import PartView
from tests.fakes import (
    FoldedRequests,
    InMemoryCatalogue,
    InMemoryEventStore,
    InMemoryForwarder,
    PlainHasher,
    new_id,
    now,
)

MATRIX = Media(MediaType.MOVIE, 603)
SEVERANCE = Media(MediaType.TV, 95396)
PASSWORD = "correct horse battery staple"


class Healthy:
    """Health as the test says."""

    def __init__(self) -> None:
        self.parts = [
            PartView("postgres", ok=True, detail="answers", milliseconds=0.5),
            PartView("redis", ok=True, detail="answers", milliseconds=0.2),
            PartView("projector", ok=True, detail="0 events behind", milliseconds=0.4),
        ]

    async def check(self) -> Sequence[PartView]:
        return self.parts


class Person(msgspec.Struct, frozen=True):
    """Somebody who is signed in."""

    id: UUID
    email: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class House:
    """The use cases on players in memory, and the application in front of them."""

    def __init__(self) -> None:
        films = {
            Media(MediaType.MOVIE, number): Title(f"Film {number}") for number in range(1, 600)
        }
        self.store = InMemoryEventStore()
        self.requests = FoldedRequests(self.store)
        self.catalogue = InMemoryCatalogue(
            films
            | {
                MATRIX: Title("The Matrix", year=1999, poster_path="/matrix.jpg"),
                SEVERANCE: Title("Severance", year=2022, seasons=(0, 1, 2)),
            }
        )
        self.forwarder = InMemoryForwarder()
        self.hasher = PlainHasher()
        self.health = Healthy()
        self.tokens = JwtAccessTokens("a secret of this test only", now)
        executor = Executor(self.store, now, new_id)
        self.use_cases = MediaRequests(executor, self.store, self.catalogue, self.forwarder, now)
        self.accounts = Accounts(executor, self.hasher, self.tokens)
        self.doors = Doors(
            accounts=self.accounts,
            media_requests=self.use_cases,
            request_queries=self.requests,
            tokens=self.tokens,
            feed=self.store,
            progress=self.requests,
            health=self.health,
            clock=now,
            ids=new_id,
        )
        self.app: Application = build_app(self.doors)

    def client(self, person: Person | None = None) -> httpx.AsyncClient:
        """A client of the API, signed in as ``person``."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(cast("Any", self.app)),
            base_url="http://medianest.test",
            headers=person.headers if person else {},
        )

    async def person(self, email: str, role: Role = Role.USER) -> Person:
        """Open an account and sign in."""
        account_id = await self.accounts.open_account(email, PASSWORD, role, context("system:test"))
        return Person(account_id, email, self.tokens.issue(account_id, role).token)

    def token_for(self, person: Person, role: Role, lifetime: timedelta) -> str:
        """Another token of the person, of another lifetime."""
        tokens = JwtAccessTokens("a secret of this test only", now, lifetime=lifetime)
        return tokens.issue(person.id, role).token

    async def forward(self, request_id: UUID) -> None:
        """Let Overseerr be told, as a worker would."""
        effect = ForwardRequest(request_id)
        await self.use_cases.forward_request(effect, Job(new_id(), effect, "test", new_id()))


def context(actor: str) -> Context:
    return Context(actor, "test", new_id())


def film(tmdb_id: int = 603, **more: Any) -> dict[str, Any]:
    """The body that asks for a film."""
    return {"mediaType": "movie", "tmdbId": tmdb_id, **more}


def series(*seasons: int) -> dict[str, Any]:
    """The body that asks for a series."""
    return {"mediaType": "tv", "tmdbId": SEVERANCE.tmdb_id, "seasons": seasons}
