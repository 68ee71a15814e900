"""Processes that are started, kept running and stopped together, and never left behind.

``launch`` runs in a child before its program, ``processes`` runs one child, ``services`` restarts
one that dies, ``supervisor`` keeps the roles. The child's own side is here, and cheap to import.
"""

from infrastructure.supervision.child import announce_ready, watch_parent

__all__ = ["announce_ready", "watch_parent"]
