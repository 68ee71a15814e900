"""Every request there is, as a file."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Sequence
from enum import StrEnum

import msgspec
from litestar import get
from litestar.response import Stream

from domain.permissions import Action
from interfaces.doors import Doors
from interfaces.http.call import Call
from interfaces.http.errors import NOT_LET_IN, ReadModelBehind, refusals
from interfaces.http.media_requests import FilterQuery, filter_of
from interfaces.http.openapi import CONTENT_DISPOSITION, asks
from interfaces.input import Invalid
from interfaces.views import MediaRequestView, view_of
from projections.media_requests import MEDIA_REQUESTS, Mark, RequestFilter, Sort

NDJSON, CSV = "application/x-ndjson", "text/csv"
PAGE = 500
"""Requests that are read at a time; the file is as long as it needs, and never in memory."""

COLUMNS = tuple(field.encode_name for field in msgspec.structs.fields(MediaRequestView))
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ExportFormat(StrEnum):
    """What the file is written in."""

    NDJSON = "ndjson"
    """One JSON object a line."""
    CSV = "csv"
    """RFC 4180, with a line of names; lists and objects are written as JSON."""


class ExportQuery(FilterQuery, frozen=True):
    """Which requests to write, and how."""

    format: ExportFormat = ExportFormat.NDJSON


@get(
    "/admin/requests/export",
    summary="Export requests",
    opt={"action": Action.EXPORT_REQUESTS},
    operation_class=asks(ExportQuery, NDJSON, CSV),
    response_headers=[CONTENT_DISPOSITION],
    responses=refusals(Invalid, ReadModelBehind, *NOT_LET_IN),
)
async def export_requests(request: Call) -> Stream:
    """All that the filters let through, in the order of the list.

    What is asked for while the file is written may be missing from it; nothing comes twice.
    """
    query = request.query(ExportQuery)
    await request.shown(query, MEDIA_REQUESTS.table)
    as_csv = query.format is ExportFormat.CSV
    lines = _lines(request.doors, filter_of(request, query), query.sort, as_csv=as_csv)
    return Stream(
        lines,
        media_type=CSV if as_csv else NDJSON,
        headers={"Content-Disposition": f'attachment; filename="requests.{query.format}"'},
    )


async def _lines(
    doors: Doors, wanted: RequestFilter, sort: Sort, *, as_csv: bool
) -> AsyncIterator[bytes]:
    write: Callable[[MediaRequestView], bytes] = _csv_line if as_csv else _json_line
    if as_csv:
        yield _csv(COLUMNS)
    after: Mark | None = None
    while rows := await doors.request_queries.page(wanted, sort, after=after, limit=PAGE):
        yield b"".join(write(view_of(row)) for row in rows)
        after = Mark.of(rows[-1], sort)


def _json_line(view: MediaRequestView) -> bytes:
    return msgspec.json.encode(view) + b"\n"


def _csv_line(view: MediaRequestView) -> bytes:
    fields: dict[str, object] = msgspec.to_builtins(view)
    return _csv([_cell(fields[name]) for name in COLUMNS])


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            # A spreadsheet would run what looks like a formula, and people choose notes freely.
            return f"'{value}" if value.startswith(_FORMULA) else value
        case _:
            return msgspec.json.encode(value).decode()


def _csv(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()
