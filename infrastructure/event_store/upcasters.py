"""How events of older versions read today: (tag, version) -> the fields of the next version.

An entry takes the stored ``data`` of an event as a plain dict and returns that of version + 1. It
is pure, and never changes once it has been released: the events it reads will be there for ever.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

Upcaster: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTERS: dict[tuple[str, int], Upcaster] = {}
