"""``Idempotency-Key``: whoever repeats a command is answered as the first time.

Source: draft-ietf-httpapi-idempotency-key-header.
"""

import re
from functools import partial
from http import HTTPStatus
from uuid import UUID

import msgspec
import structlog
from litestar import Response
from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent

from application.ports.idempotency import Answered, Claimed, IdempotencyKeys
from interfaces.http.call import Call
from interfaces.input import FieldError, Invalid

log = structlog.get_logger()

HEADER = "Idempotency-Key"
KEY_PATTERN = r"^[ -~]{1,255}$"
LONGEST_KEPT_BODY = 64 * 1024
"""In bytes. A longer answer is made anew; what it answers is done once all the same."""
MENDABLE = frozenset({400, 401, 403, 413, 415, 422, 429})
"""Refusals that did nothing, and that a mended request escapes: they set the key free."""


class _Kept(msgspec.Struct, frozen=True):
    """An answer as it went out; in JSON ``body`` is base64."""

    status: int
    headers: dict[str, str]
    body: bytes


async def first_answer(call: Call, account_id: UUID) -> Response[bytes] | None:
    """How the command was answered before; ``None`` when it is the first of its key or has none.

    Raises Invalid, IdempotencyKeyReused, and what reading the body raises.
    """
    shown = call.headers.getall(HEADER, [])
    if not shown:
        return None
    if len(shown) > 1 or not re.fullmatch(KEY_PATTERN, shown[0]):
        raise Invalid([FieldError(HEADER, "Must be 1 to 255 printable ASCII characters, once.")])
    keys, scope = call.doors.idempotency, call.scope
    same = (scope["method"], scope["path"], scope["query_string"], await call.raw_body())
    match await keys.claim(account_id, shown[0], msgspec.msgpack.encode(same)):
        case Claimed() as claimed:
            scope["state"]["claimed"] = claimed
            scope["state"]["settle"] = partial(_settle, keys, claimed)
            return None
        case Answered(answer):
            kept = msgspec.json.decode(answer, type=_Kept)
            headers = kept.headers | {"idempotency-replayed": "true"}
            return Response(kept.body, status_code=kept.status, headers=headers)


async def _settle(
    keys: IdempotencyKeys,
    claimed: Claimed,
    start: HTTPResponseStartEvent,
    body: HTTPResponseBodyEvent,
) -> None:
    """Keep an answer that is about to go out, for whoever repeats the command."""
    status = start["status"]
    too_long = body["more_body"] or len(body["body"]) > LONGEST_KEPT_BODY
    try:
        if status in MENDABLE:
            await keys.free(claimed)
        elif status >= HTTPStatus.INTERNAL_SERVER_ERROR or too_long:
            await keys.abandon(claimed)
        else:
            headers = {
                name.decode("latin-1"): value.decode("latin-1")
                for name, value in start["headers"]
                if name != b"set-cookie"
            }
            kept = _Kept(status, headers, body["body"])
            await keys.keep(claimed, msgspec.json.encode(kept).decode())
    except Exception:
        # The command is done, and its answer has to go out.
        log.exception("answer not kept")
