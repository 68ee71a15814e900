"""What a read model is: one declaration of its rows, its events and its fold.

Everything else follows from the declaration: the table and its DDL, how a page of events is
applied, how it is rebuilt and compared. A fold is pure; a read model never has a side effect.
"""

import types
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

from domain.kernel import Event, Recorded

R = TypeVar("R", bound=msgspec.Struct)
Key: TypeAlias = tuple[Any, ...]

_COLUMN_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),  # before int, whose subclass it is
    (int, "bigint"),
    (float, "double precision"),
    (str, "text"),
    (UUID, "uuid"),
    (datetime, "timestamptz"),
)


class ReadModel(msgspec.Struct, Generic[R], frozen=True):
    """A table that is folded from events, and nothing else.

    ``row`` is a frozen struct whose fields are the columns; ``key`` names the columns of the
    primary key, and ``keys`` the rows that an event touches. ``fold`` gives the row after the event
    (``None`` before it exists, ``None`` to delete it). A change of any of these raises ``version``,
    so that the new table is built beside the old one. ``indexes`` are lists of columns,
    ``other_indexes`` all that follows the table's name where an index is more than that.
    """

    name: str
    version: int
    row: type[R]
    key: tuple[str, ...]
    events: tuple[type[Event], ...]
    keys: Callable[[Recorded[Any]], Iterable[Key]]
    fold: Callable[[R | None, Recorded[Any]], R | None]
    indexes: tuple[str, ...] = ()
    other_indexes: tuple[str, ...] = ()

    @property
    def table(self) -> str:
        """The table of this version, such as ``media_requests_v1``."""
        return f"{self.name}_v{self.version}"

    @property
    def columns(self) -> tuple[str, ...]:
        """The column names, in the order of the row's fields."""
        return self.row.__struct_fields__

    def key_of(self, row: R) -> Key:
        """The primary key of a row."""
        return tuple(getattr(row, column) for column in self.key)

    def ddl(self) -> str:
        """The statements that make the table and its indexes where they are missing."""
        hints = get_type_hints(self.row)
        columns = [f"{name} {_column_type(hints[name])}" for name in self.columns]
        primary_key = f"PRIMARY KEY ({', '.join(self.key)})"
        table = f"CREATE TABLE IF NOT EXISTS {self.table} ({', '.join((*columns, primary_key))})"
        indexes = (
            f"CREATE INDEX IF NOT EXISTS {self.table}_{number} ON {self.table} {indexed}"
            for number, indexed in enumerate(
                (*(f"({columns})" for columns in self.indexes), *self.other_indexes), start=1
            )
        )
        return ";\n".join((table, *indexes))


AnyReadModel: TypeAlias = ReadModel[Any]


def _column_type(hint: Any) -> str:
    """The SQL type of a field; what has no column type of its own is kept as JSON."""
    if get_origin(hint) in (Union, types.UnionType):
        (inner,) = (arm for arm in get_args(hint) if arm is not type(None))
        return _column_type(inner).removesuffix(" NOT NULL")
    if isinstance(hint, type):
        for python_type, column_type in _COLUMN_TYPES:
            if issubclass(hint, python_type):
                return f"{column_type} NOT NULL"
    return "jsonb NOT NULL"
