"""How a command that is sent twice is answered twice and done once."""

from typing import Protocol
from uuid import UUID

import msgspec

from application.ports.kernel import PortError


class IdempotencyKeyReused(PortError):
    """An idempotency key came back with another request."""

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was sent before, with another request. A new request needs a new"
            " key."
        )


class Claimed(msgspec.Struct, frozen=True):
    """A key that is ours to answer for, until somebody takes it over with a higher ``fence``.

    Whoever has it does the same under the same ``command_id``, so what was done stays done once.
    """

    account_id: UUID
    key: str
    command_id: UUID
    fence: int


class Answered(msgspec.Struct, frozen=True):
    """A key whose request was answered before."""

    answer: str


class IdempotencyKeys(Protocol):
    """What each account has sent under which key, and how it was answered; kept for a day.

    Every call may raise StoreUnavailable. A claim that was taken over changes nothing any more.
    """

    async def claim(self, account_id: UUID, key: str, request: bytes) -> Claimed | Answered:
        """The key, or how ``request`` was answered before.

        While somebody else holds the key, it waits for what becomes of that; a holder who falls
        silent is taken over. Raises IdempotencyKeyReused when the key came with another request.
        """
        ...

    async def keep(self, claimed: Claimed, answer: str) -> None:
        """Answer like this from now on. The text may name people or hold secrets."""
        ...

    async def free(self, claimed: Claimed) -> None:
        """Nothing was done: the key may come with any request, and begins a new command."""
        ...

    async def abandon(self, claimed: Claimed) -> None:
        """Whether anything was done is not known: whoever repeats the request takes over."""
        ...
