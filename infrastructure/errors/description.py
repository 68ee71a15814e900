"""What an error was, in which place of ours, told the same way each time it happens."""

from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice
from traceback import walk_tb
from types import FrameType
from typing import NamedTuple, cast

from infrastructure.errors.scrubbing import message_of

MOST_FRAMES = 30
"""Of a recursion the innermost ones tell enough."""
MOST_CAUSES = 3
MOST_LEAVES = 10
OURS = frozenset({"domain", "application", "projections", "interfaces", "infrastructure"})


class Identity(NamedTuple):
    """What makes two errors the same one: their type, and the place of ours they came from.

    The place is the innermost function of ours, without its line: an edit above it does not make a
    new error of an old one. Without any of ours it is the innermost function there is.
    """

    kind: str
    place: str

    @property
    def fingerprint(self) -> str:
        """The identity as 16 hexadecimal digits."""
        return blake2b(f"{self.kind}\n{self.place}".encode(), digest_size=8).hexdigest()


def identify(error: BaseException) -> Identity:
    """The identity of ``error``; it reads nothing but its traceback."""
    place = fallback = ""
    for frame, _ in walk_tb(error.__traceback__):
        if _is_ours(frame):
            place = _name(frame)
        else:
            fallback = _name(frame)
    return Identity(_kind(error), place or fallback)


def frames_of(error: BaseException) -> tuple[str, ...]:
    """Our frames of its traceback, outermost first, as ``module:function:line``."""
    frames = [
        f"{_name(frame)}:{line}" for frame, line in walk_tb(error.__traceback__) if _is_ours(frame)
    ]
    return tuple(frames[-MOST_FRAMES:])


def message_with_causes(error: BaseException) -> str:
    """Its scrubbed message, and the kinds and messages of what it was raised from."""
    told = [message_of(error)]
    cause = error.__cause__
    while cause is not None and len(told) <= MOST_CAUSES:
        told.append(f"{_kind(cause)}: {message_of(cause)}")
        cause = cause.__cause__
    return " ← ".join(told)


def leaves_of(error: BaseException) -> Iterator[BaseException]:
    """The error itself, or those that a group holds: a group says only that there were some."""
    return islice(_leaves(error), MOST_LEAVES)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    group = cast("BaseExceptionGroup[BaseException]", error)
    for inner in group.exceptions:
        yield from _leaves(inner)


def _kind(error: BaseException) -> str:
    cls = type(error)
    return (
        cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    )


def _is_ours(frame: FrameType) -> bool:
    return _module(frame).partition(".")[0] in OURS


def _name(frame: FrameType) -> str:
    return f"{_module(frame)}:{frame.f_code.co_qualname}"


def _module(frame: FrameType) -> str:
    return frame.f_globals.get("__name__", "?")
