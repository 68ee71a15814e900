"""The one rule of what is critical: what nobody expected, and no waiting mends."""

import psycopg

from application.ports import PortError, UnreadableStream
from domain.kernel import DomainError
from infrastructure.subscriptions.subscriber import Fenced

_SERVER_GONE = ("08", "57P")
"""Of SQLSTATE: a lost connection, a server that stops or starts. Others, such as a full disk, also
come as an OperationalError and want a person."""
_REDIS_GONE = frozenset({"ConnectionError", "TimeoutError", "BusyLoadingError"})


def is_critical(error: BaseException) -> bool:
    """Whether a person must look.

    Refusals of the domain and of the world (``StoreUnavailable``) are known, and servers that are
    away come back. A stream that this version cannot read is known too, but does not mend itself.
    """
    match error:
        case UnreadableStream():
            return True
        case DomainError() | PortError() | Fenced():  # fenced: another owner took over
            return False
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return not (error.sqlstate is None or error.sqlstate.startswith(_SERVER_GONE))
        case _:
            return not _is_redis_gone(error)


def _is_redis_gone(error: BaseException) -> bool:
    """By name: to import redis takes a quarter of a second, and not every process needs it."""
    return any(
        cls.__module__ == "redis.exceptions" and cls.__name__ in _REDIS_GONE
        for cls in type(error).__mro__
    )
