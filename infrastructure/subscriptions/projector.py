"""The projector: folds pages of events into a read model's table.

The rows that events touch are folded in memory, then written in one statement together with the
checkpoint: it moves the checkpoint only from where it stood, and writes only if that succeeded.
Rows travel as one JSON document, which both sides turn into rows in one step.
"""

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


class _Slot(Generic[R]):
    """A row in memory, ``None`` where there is none, and whether it waits to be written."""

    __slots__ = ("changed", "key", "row")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.row: R | None = None
        self.changed = False


class Projector(Generic[R]):
    """A subscription that keeps one read model."""

    def __init__(self, model: ReadModel[R]) -> None:
        self._model = model
        self._slots: dict[Key, _Slot[R]] = {}  # of the rows that were loaded or changed of late
        self._changed: list[_Slot[R]] = []  # of them, those to be written next
        self._writing: list[_Slot[R]] = []  # and those whose write is under way
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
        self._slots, self._changed, self._writing = {}, [], []

    async def fold(self, connection: AsyncConnection, page: Sequence[Recorded[Any]]) -> None:
        """Fold ``page`` into the rows in memory; see ``Subscription``."""
        if len(self._slots) > CACHED_ROWS:
            self._slots = {slot.key: slot for slot in (*self._writing, *self._changed)}
        touched: list[tuple[_Slot[R], Recorded[Any]]] = []
        missing: list[_Slot[R]] = []
        for recorded in page:
            for key in self._keys(recorded):
                slot = self._slots.get(key)
                if slot is None:
                    slot = self._slots[key] = _Slot(key)
                    missing.append(slot)
                touched.append((slot, recorded))
        if missing:
            await self._load(connection, missing)
        for slot, recorded in touched:
            slot.row = self._model.fold(slot.row, recorded)
            if not slot.changed:
                slot.changed = True
                self._changed.append(slot)

    async def write(self, connection: AsyncConnection, before: int, after: int) -> None:
        """Write the changed rows and the checkpoint; see ``Subscription``."""
        self._writing, self._changed = self._changed, []
        for slot in self._writing:
            slot.changed = False
        kept = [slot.row for slot in self._writing if slot.row is not None]
        gone = [self._named(slot.key) for slot in self._writing if slot.row is None]
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
        self._writing = []

    def _keys(self, recorded: Recorded[Any]) -> Iterable[Key]:
        event = recorded.event
        if isinstance(event, self._model.events):
            return self._model.keys(recorded)
        if isinstance(event, Unreadable):
            raise UnreadableEvent(f"{event.topic}: {event.reason}")
        return ()

    def _named(self, key: Key) -> dict[str, Any]:
        return dict(zip(self._model.key, key, strict=True))

    async def _load(self, connection: AsyncConnection, missing: Iterable[_Slot[R]]) -> None:
        wanted = [self._named(slot.key) for slot in missing]
        cursor = await connection.execute(self._load_statement, (self._json(wanted),))
        (found,) = cast("tuple[str]", await cursor.fetchone())
        for row in self._decode(found):
            self._slots[self._model.key_of(row)].row = row


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
