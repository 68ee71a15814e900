"""Where one is signed in, and what happened around one's account."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, delete, get
from litestar.params import FromPath
from msgspec import Meta

from application.ports import StoreBusy, UnreadableStream
from application.sign_in import Client
from domain.permissions import Action
from domain.sessions import SignInMethod, UnknownSession
from interfaces.http.call import Call, NoQuery, ReadQuery
from interfaces.http.cursors import Cursor, cursor_of, position_of
from interfaces.http.errors import NOT_LET_IN, ReadModelBehind, refusals
from interfaces.http.openapi import ETAG, NOT_MODIFIED, X_POSITION, asks
from interfaces.input import Invalid
from projections.accounts import ACCOUNTS
from projections.activity import ACTIVITY, Activity, ActivityRow
from projections.sessions import SESSIONS, SessionRow


class SessionView(msgspec.Struct, frozen=True, rename="camel"):
    """A sign-in on one device. ``current`` is the one that asks.

    ``address`` and ``user_agent`` are those of the sign-in.
    """

    id: UUID
    method: SignInMethod
    address: str | None
    user_agent: str | None
    opened_at: datetime
    last_used_at: datetime
    expires_at: datetime
    current: bool


class SessionList(msgspec.Struct, frozen=True):
    """Every session that stands, newest first."""

    items: Sequence[SessionView]


class ActivityQuery(ReadQuery, frozen=True):
    """Which page to show. ``cursor`` is the ``nextCursor`` of the last one."""

    cursor: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class ActivityView(msgspec.Struct, frozen=True, rename="camel"):
    """One thing that happened, to a session if there is a ``session_id``.

    ``address`` and ``user_agent`` tell of sign-ins, of those that failed and of reused tokens.
    """

    at: datetime
    kind: Activity
    method: SignInMethod | None
    address: str | None
    user_agent: str | None
    session_id: UUID | None


class ActivityPage(msgspec.Struct, frozen=True, rename="camel"):
    """One page of what happened. On the last, ``next_cursor`` is null."""

    items: Sequence[ActivityView]
    next_cursor: str | None


@get(
    "/auth/sessions",
    summary="Where one is signed in",
    opt={"action": Action.SEE_SESSIONS},
    operation_class=asks(ReadQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, ReadModelBehind, *NOT_LET_IN),
)
async def list_sessions(request: Call) -> SessionList:
    """One's own sessions that stand, newest first."""
    query = request.query(ReadQuery)
    for read_model in (SESSIONS, ACCOUNTS):
        await request.shown(query, read_model.table)
    doors, caller = request.doors, request.caller
    rows = await doors.session_queries.open_of(caller.account_id, doors.clock())
    clients = await _clients(request, rows)
    uses = await doors.last_uses.of(row.id for row in rows)
    return SessionList(
        [
            SessionView(
                row.id,
                row.method,
                *_address_and_agent(clients, row.client),
                opened_at=row.opened_at,
                last_used_at=_last_use(row, uses),
                expires_at=row.expires_at,
                current=row.id == caller.session_id,
            )
            for row in rows
        ]
    )


@delete(
    "/auth/sessions/{session_id:uuid}",
    summary="Sign out elsewhere",
    opt={"action": Action.CLOSE_SESSION},
    response_headers=[X_POSITION],
    responses=refusals(Invalid, UnknownSession, StoreBusy, UnreadableStream, *NOT_LET_IN),
)
async def close_session(request: Call, session_id: FromPath[UUID]) -> Response[None]:
    """Closes one of one's own sessions at once. One that is closed already stays so."""
    request.query(NoQuery)
    account_id = request.caller.account_id
    position = await request.doors.sign_in.close(account_id, session_id, request.context())
    return Response(None, status_code=204, headers={"X-Position": str(position)})


@get(
    "/auth/activity",
    summary="What happened around one's account",
    opt={"action": Action.SEE_SESSIONS},
    operation_class=asks(ActivityQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, ReadModelBehind, *NOT_LET_IN),
)
async def list_activity(request: Call) -> ActivityPage:
    """Sign-ins and changes that matter for one's safety, newest first."""
    query = request.query(ActivityQuery)
    before = position_of(query.cursor)
    await request.shown(query, ACTIVITY.table)
    rows = await request.doors.activity_queries.page(
        request.caller.account_id,
        before=before,
        limit=query.limit + 1,  # one more tells whether there is another page
    )
    shown, more = rows[: query.limit], rows[query.limit :]
    clients = await _clients(request, shown)
    return ActivityPage(
        [
            ActivityView(
                row.at,
                row.kind,
                row.method,
                *_address_and_agent(clients, row.client),
                session_id=row.session_id,
            )
            for row in shown
        ],
        cursor_of(shown[-1].position) if more else None,
    )


async def _clients(
    request: Call, rows: Iterable[SessionRow | ActivityRow]
) -> Mapping[str | None, Client]:
    """What is known of where they came from, by the sealed text."""
    sealed = [(row.account_id, "client", row.client) for row in rows if row.client is not None]
    revealed = await request.doors.personal_data.reveal_all(sealed)
    return {
        text: msgspec.json.decode(client, type=Client)
        for (_, _, text), client in zip(sealed, revealed, strict=True)
        if client is not None
    }


def _address_and_agent(
    clients: Mapping[str | None, Client], sealed: str | None
) -> tuple[str | None, str | None]:
    client = clients.get(sealed)
    return (client.address, client.user_agent) if client else (None, None)


def _last_use(row: SessionRow, uses: Mapping[UUID, datetime]) -> datetime:
    known = (row.opened_at, row.refreshed_at, uses.get(row.id))
    return max(at for at in known if at is not None)
