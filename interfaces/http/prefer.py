"""``Prefer: wait=N`` (RFC 7240): whoever wants the outcome waits for it, and no longer than N."""

import re
from datetime import timedelta

from litestar.openapi.spec import Parameter

from interfaces.http.call import Call
from interfaces.http.openapi import Ready

LONGEST_PATIENCE = 30
"""In seconds. Proxies cut calls off after a minute; what takes longer is heard of live."""

PREFER = Parameter(
    name="Prefer",
    param_in="header",
    description=(
        f"`wait=N`: answer only when there is an outcome, or after N seconds (at most"
        f" {LONGEST_PATIENCE}). `respond-async`: answer at once, as without it."
    ),
    schema=Ready({"type": "string"}),
)

_PREFERENCE = re.compile(r"\s*([A-Za-z-]+)\s*(?:=\s*\"?([^\";]*)\"?\s*)?(?:;.*)?")


def patience_of(call: Call) -> timedelta | None:
    """How long the client is willing to wait; ``None`` is not at all.

    A preference that is not understood is no fault, as the RFC wants it.
    """
    given = ",".join(call.headers.getall("Prefer", []))
    preferences: dict[str, str] = {}
    for part in given.split(","):
        if match := _PREFERENCE.fullmatch(part):
            preferences.setdefault(match[1].lower(), match[2] or "")
    seconds = preferences.get("wait", "")
    if "respond-async" in preferences or not re.fullmatch(r"[0-9]{1,9}", seconds):
        return None
    return timedelta(seconds=min(int(seconds), LONGEST_PATIENCE))
