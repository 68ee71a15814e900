"""The projector: folds pages of events into a read model's table.

The rows that events touch are folded in memory, then written in one statement together with the
checkpoint: it moves the checkpoint only from where it stood, and writes only if that succeeded.
Rows travel as one JSON document, which both sides turn into rows in one step.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar, cast

import msgspec
from psycopg import AsyncConnection
from psycopg.sql import SQL, Composed, Identifier, Literal
from psycopg.types.json import Json

from domain.kernel import Event, Recorded, Unreadable
from infrastructure.subscriptions.schema import CHECKPOINT_CHANNEL
from infrastructure.subscriptions.subscriber import Fenced
from projections.kernel import Key, ReadModel

R = TypeVar("R", bound=msgspec.Struct)

CACHED_ROWS = 50_000
"""Rows kept in memory between pages, so that the events that follow need not load them again."""


class UnreadableEvent(Exception):
    """An event of another version of MediaNest; it is parked until this one can read it."""


class Projector(Generic[R]):
    """A subscription that keeps one read model."""

    def __init__(self, model: ReadModel[R]) -> None:
        self._model = model
        self._rows: dict[Key, R | None] = {}  # those that were loaded or changed of late
        self._changed: dict[Key, R | None] = {}  # of them, those to be written next
        self._writing: dict[Key, R | None] = {}  # and those whose write is under way
        self._json = partial(Json, dumps=msgspec.json.Encoder().encode)
        self._decode = msgspec.json.Decoder(list[model.row]).decode
        self._load_statement = _load_statement(model)
        self._write_statement = _write_statement(model)

    @property
    def name(self) -> str:
        """The table, which names the model and its version."""
        return self._model.table

    @property
    def events(self) -> tuple[type[Event], ...]:
        """Those the model is folded from."""
        return self._model.events

    def forget(self) -> None:
        """Drop every row in memory."""
        self._rows, self._changed, self._writing = {}, {}, {}

    async def fold(self, connection: AsyncConnection, page: Sequence[Recorded[Any]]) -> None:
        """Fold ``page`` into the rows in memory; see ``Subscription``."""
        if len(self._rows) > CACHED_ROWS:
            self._rows = {**self._writing, **self._changed}
        touched = self._by_key(page)
        await self._load(connection, touched)
        for key, events in touched.items():
            row = self._rows[key]
            for recorded in events:
                row = self._model.fold(row, recorded)
            self._rows[key] = self._changed[key] = row

    async def write(self, connection: AsyncConnection, before: int, after: int) -> None:
        """Write the changed rows and the checkpoint; see ``Subscription``."""
        self._writing, self._changed = self._changed, {}
        names = self._model.key
        gone = [
            dict(zip(names, key, strict=True)) for key, row in self._writing.items() if row is None
        ]
        kept = [row for row in self._writing.values() if row is not None]
        cursor = await connection.execute(
            self._write_statement,
            {
                "subscriber": self.name,
                "before": before,
                "after": after,
                "kept": self._json(kept),
                "gone": self._json(gone),
                "progress": f"{self.name} {after}",
            },
        )
        if cursor.rowcount != 1:
            raise Fenced(self.name)
        self._writing = {}

    def _by_key(self, page: Iterable[Recorded[Any]]) -> dict[Key, list[Recorded[Any]]]:
        """The events of a page that touch each row, in order: no row depends on another."""
        touched: defaultdict[Key, list[Recorded[Any]]] = defaultdict(list)
        for recorded in page:
            event = recorded.event
            if isinstance(event, self._model.events):
                for key in self._model.keys(recorded):
                    touched[key].append(recorded)
            elif isinstance(event, Unreadable):
                raise UnreadableEvent(f"{event.topic}: {event.reason}")
        return touched

    async def _load(self, connection: AsyncConnection, keys: Iterable[Key]) -> None:
        missing = [key for key in keys if key not in self._rows]
        if not missing:
            return
        names = self._model.key
        wanted = [dict(zip(names, key, strict=True)) for key in missing]
        cursor = await connection.execute(self._load_statement, (self._json(wanted),))
        (found,) = cast("tuple[str]", await cursor.fetchone())
        self._rows.update(dict.fromkeys(missing))
        self._rows.update((self._model.key_of(row), row) for row in self._decode(found))


def _load_statement(model: ReadModel[Any]) -> Composed:
    return SQL("SELECT coalesce(json_agg(found), '[]')::text FROM {found}").format(
        found=_find(model, SQL("*"), SQL("%s"))
    )


def _write_statement(model: ReadModel[Any]) -> Composed:
    return SQL("""
        WITH moved AS (
            UPDATE checkpoints SET position = %(after)s
            WHERE subscriber = %(subscriber)s AND position = %(before)s RETURNING position
        ), removed AS (
            DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT found.ctid FROM moved, {gone}))
        ), written AS (
            INSERT INTO {table} SELECT kept.*
            FROM moved, json_populate_recordset(NULL::{table}, %(kept)s::json) AS kept
            ON CONFLICT ({key}) DO UPDATE SET ({columns}) = ROW({excluded})
        )
        SELECT pg_notify({channel}, %(progress)s) FROM moved
    """).format(
        table=Identifier(model.table),
        gone=_find(model, SQL("ctid"), SQL("%(gone)s")),
        key=_names(model.key),
        columns=_names(model.columns),
        excluded=_names(model.columns, "excluded"),
        channel=Literal(CHECKPOINT_CHANNEL),
    )


def _find(model: ReadModel[Any], what: SQL, keys: SQL) -> Composed:
    """``what`` of the rows with these keys, as ``found``: each looked up in the index.

    A join would be planned for good while the table is empty, as a scan of the whole table.
    """
    return SQL("""
        json_populate_recordset(NULL::{table}, {keys}::json) AS wanted CROSS JOIN LATERAL (
            SELECT {what} FROM {table} AS here WHERE ({here}) = ({wanted}) OFFSET 0
        ) AS found
    """).format(
        table=Identifier(model.table),
        keys=keys,
        what=what,
        here=_names(model.key, "here"),
        wanted=_names(model.key, "wanted"),
    )


def _names(columns: Iterable[str], table: str | None = None) -> Composed:
    """The columns, separated by commas, each of ``table`` if one is named."""
    path = () if table is None else (table,)
    return SQL(", ").join(Identifier(*path, column) for column in columns)
