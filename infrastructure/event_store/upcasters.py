"""How events of older versions read today: (tag, version) -> the fields of the next version.

An entry takes the stored ``data`` of an event as a plain dict and returns that of version + 1. It
is pure, and never changes once it has been released: the events it reads will be there for ever.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

Upcaster: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


def _needing_no_approval(data: dict[str, Any]) -> dict[str, Any]:
    """Requests went to Overseerr at once, and knew whole seasons only."""
    return data | {"episodes": [], "allSeasons": [], "needsApproval": False}


UPCASTERS: dict[tuple[str, int], Upcaster] = {
    ("media_request.requested", 1): _needing_no_approval,
}
