"""A request as the routes see it: strict input, who asks, and the doors behind it."""

from datetime import timedelta
from typing import Annotated, Any, TypeVar, cast
from uuid import UUID

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import InternalServerException
from msgspec import Meta

from application.execute import Context
from application.ports.idempotency import Claimed
from application.standings import Caller
from domain.permissions import Action
from interfaces.doors import Doors
from interfaces.http.errors import CutOff, Forbidden, NotJson, ReadModelBehind
from interfaces.input import MalformedJson, read_json, read_query

LONGEST_WAIT = timedelta(seconds=5)
"""How long a GET waits for ``after``: far longer than a projector needs when all is well."""

Position = Annotated[
    int, Meta(ge=0, le=2**63 - 1, description="A position in the global order of events.")
]


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of a route that takes none."""


class ReadQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What every GET takes. ``after`` is an ``X-Position`` that the answer must show."""

    after: Position | None = None


Q = TypeVar("Q", bound=msgspec.Struct)


class Call(Request[Caller | None, None, State]):
    """A request. Behind the entrance of a route for people with an account, it has a ``caller``."""

    @property
    def doors(self) -> Doors:
        """The use cases, queries and streams."""
        return cast("Doors", self.app.state["doors"])

    @property
    def caller(self) -> Caller:
        """Who asks, on a route for people with an account."""
        caller: Caller | None = self.scope["user"]
        if caller is None:
            raise LookupError("Nobody is signed in on this route.")
        return caller

    @property
    def action(self) -> Action:
        """What the route does."""
        return self.route_handler.opt["action"]

    @property
    def correlation_id(self) -> str:
        """What ties together all that this request causes."""
        return self.scope["state"]["correlation_id"]

    def require(self, owner: UUID) -> None:
        """Make sure that the caller may do this to what is ``owner``'s. Raises Forbidden.

        403 rather than 404: whoever asks for a title that is taken learns so anyway (409, with a
        link), so hiding the request would only make that link look broken.
        """
        if not self.caller.may(self.action, owner):
            raise Forbidden("This belongs to somebody else.")

    def context(self) -> Context:
        """The command's context.

        Each request is a command of its own, so its id is new, unless it comes with an idempotency
        key: whoever repeats it has the same id again.
        """
        caller: Caller | None = self.scope["user"]
        claimed: Claimed | None = self.scope["state"].get("claimed")
        return Context(
            actor="anonymous" if caller is None else f"account:{caller.account_id}",
            correlation_id=self.correlation_id,
            command_id=claimed.command_id if claimed else self.doors.ids(),
        )

    def query(self, shape: type[Q]) -> Q:
        """The query parameters. Raises Invalid, for parameters that are not of ``shape`` too."""
        given = self.query_params.multi_items() if self.scope["query_string"] else ()
        return read_query(given, shape)

    async def shown(self, query: ReadQuery, read_model: str) -> None:
        """Wait until ``read_model`` shows the position that the client wants to see."""
        if query.after is None:
            return
        if not await self.doors.progress.reached(read_model, query.after, LONGEST_WAIT):
            raise ReadModelBehind(query.after)

    async def raw_body(self) -> bytes:
        """The whole body, which may be empty. Raises CutOff."""
        try:
            return await super().body()
        except InternalServerException as gone:
            raise CutOff from gone

    async def body(self) -> bytes:
        """The whole body, which must not be empty where a route reads one."""
        body = await self.raw_body()
        if not body:
            raise MalformedJson("It is empty.")
        return body

    async def json(self) -> Any:
        """The body as the struct that the route declares as its ``data``."""
        body = await self.body()
        if self.content_type[0] != "application/json":
            raise NotJson
        self.query(NoQuery)
        field = self.route_handler.parsed_data_field
        return read_json(body, cast("type[msgspec.Struct]", field and field.annotation))
