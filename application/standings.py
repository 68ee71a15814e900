"""What sessions, API keys and accounts are worth, and how every process comes to know at once."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import TypeVar
from uuid import UUID

import msgspec

from application.execute import Executor
from application.ports import Clock, EventFeed, Gate, Standing
from domain.accounts import Account, AccountState, Role, accounts
from domain.api_keys import ApiKey, Scope, api_keys
from domain.kernel import Event, Recorded
from domain.permissions import Action, Whose, reach
from domain.sessions import Session, sessions

W = TypeVar("W", bound=msgspec.Struct)

REMEMBERED_CHANGES = 100_000
"""Sessions, keys and accounts whose last change this process remembers; about 100 B each."""
OF_NO_EPOCH = -1
"""An API key outlives the sessions of its owner, so the end of all sessions does not touch it."""
_OURS = (*sessions.events, *accounts.events, *api_keys.events)


class Caller(msgspec.Struct, frozen=True):
    """Who asks. ``scopes`` are those of an API key; a session has none, and may do everything."""

    account_id: UUID
    role: Role
    session_id: UUID
    expires_at: datetime
    scopes: frozenset[Scope] | None = None

    def may(self, action: Action, owner: UUID | None = None) -> bool:
        """Whether the caller may do it to what is ``owner``'s; by default their own."""
        whose = Whose.OWN if owner in {None, self.account_id} else Whose.OTHERS
        return whose in self.reach(action)

    def reach(self, action: Action) -> Whose:
        """Whose things the caller may touch by the action."""
        return reach(action, self.role, scopes=self.scopes)


class Claim(msgspec.Struct, frozen=True):
    """A session or key whose token was shown, and is right. Whether it stands is not said yet."""

    id: UUID
    account_id: UUID
    is_key: bool = False


class _SessionWorth(msgspec.Struct, frozen=True):
    """What the gate keeps of a session or key for us. It was read at the position ``as_of``."""

    as_of: int
    account_id: UUID
    expires_at: datetime
    scopes: frozenset[Scope] | None = None


class _AccountWorth(msgspec.Struct, frozen=True):
    as_of: int
    role: Role


_encode = msgspec.json.Encoder().encode
# Nearly every call brings what an earlier one has brought.
_session_worth = lru_cache(maxsize=10_000)(msgspec.json.Decoder(_SessionWorth).decode)
_account_worth = lru_cache(maxsize=10_000)(msgspec.json.Decoder(_AccountWorth).decode)


class Standings:
    """Knows which sessions stand.

    The gate is only a cache of what the streams say. What it holds is believed when it was read no
    earlier than this process began to hear events, and when nothing was heard about it since; else
    the streams are read. So what a session is worth is exact, whatever the gate has lost or kept.
    """

    def __init__(self, executor: Executor, gate: Gate, feed: EventFeed, clock: Clock) -> None:
        self._executor = executor
        self._gate = gate
        self._feed = feed
        self._clock = clock
        self._hears_since = 0
        self._heard: dict[UUID, tuple[int, int]] = {}  # the version and position of the last change
        self._waiting: dict[UUID, set[asyncio.Event]] = {}

    def hear_from(self, position: int) -> None:
        """Every event behind ``position`` will be told to ``hear``."""
        self._hears_since = position

    def hear(self, recorded: Recorded[Event]) -> None:
        """Take note of what has happened to a session, a key or an account."""
        if isinstance(recorded.event, _OURS):
            self._note(recorded.stream_id, recorded.version, recorded.position)

    async def caller(
        self, claim: Claim, session: Standing | None = None, account: Standing | None = None
    ) -> Caller | None:
        """Whose claim it is, if it stands; what the gate did not know is read from the streams."""
        read: list[Standing] = []
        worth = session and _known(_session_worth, session)
        if session is None or worth is None or not self._is_fresh(session, worth.as_of):
            session = await self._read_session(claim)
            if session is None:
                return None
            worth = _session_worth(session.value)
            read.append(session)
        owner = account and _known(_account_worth, account)
        if account is None or owner is None or not self._is_fresh(account, owner.as_of):
            account = await self._read_account(claim.account_id)
            if account is None:
                return None
            owner = _account_worth(account.value)
            read.append(account)
        if read:
            await self._gate.remember(read)
        if not _stand(session, account) or worth.expires_at <= self._clock():
            return None
        is_key = worth.scopes is not None
        if worth.account_id != claim.account_id or is_key is not claim.is_key:
            return None
        return Caller(claim.account_id, owner.role, claim.id, worth.expires_at, worth.scopes)

    async def still(self, caller: Caller) -> Caller | None:
        """The caller as of now, or ``None`` when their session no longer stands."""
        is_key = caller.scopes is not None
        return await self.caller(Claim(caller.session_id, caller.account_id, is_key))

    @contextmanager
    def watching(self, caller: Caller) -> Generator[asyncio.Event]:
        """An event that is set whenever something happens to the caller's session or account."""
        changed = asyncio.Event()
        for stream_id in (caller.session_id, caller.account_id):
            self._waiting.setdefault(stream_id, set()).add(changed)
        try:
            yield changed
        finally:
            for stream_id in (caller.session_id, caller.account_id):
                waiting = self._waiting[stream_id]
                waiting.discard(changed)
                if not waiting:
                    del self._waiting[stream_id]

    async def session_changed(self, session_id: UUID, session: Session, version: int) -> None:
        """The session stands otherwise from now on."""
        standing = self._standing_of_session(session_id, session, version, self._feed.head)
        await self._changed(standing)

    async def account_changed(self, account_id: UUID, account: Account, version: int) -> None:
        """The account stands otherwise from now on."""
        standing = self._standing_of_account(account_id, account, version, self._feed.head)
        await self._changed(standing)

    async def key_changed(self, key_id: UUID, key: ApiKey, version: int) -> None:
        """The API key stands otherwise from now on."""
        standing = self._standing_of_key(key_id, key, version, self._feed.head)
        await self._changed(standing)

    async def _changed(self, standing: Standing) -> None:
        """Make what this process has just changed felt at once, here and everywhere."""
        self._note(standing.id, standing.version, self._feed.head)
        await self._gate.remember((standing,))

    def _note(self, stream_id: UUID, version: int, position: int) -> None:
        known, _ = self._heard.pop(stream_id, (0, 0))
        self._heard[stream_id] = (max(known, version), position)
        if len(self._heard) > REMEMBERED_CHANGES:
            # What was forgotten must not make an older reading look right.
            oldest = next(iter(self._heard))
            self._hears_since = max(self._hears_since, self._heard.pop(oldest)[1])
        for changed in self._waiting.get(stream_id, ()):
            changed.set()

    def _is_fresh(self, standing: Standing, as_of: int) -> bool:
        if as_of < self._hears_since:
            return False
        heard = self._heard.get(standing.id)
        return heard is None or heard[0] <= standing.version

    async def _read_session(self, claim: Claim) -> Standing | None:
        as_of = self._feed.head
        if claim.is_key:
            key, version = await self._executor.load(api_keys, claim.id)
            return key and self._standing_of_key(claim.id, key, version, as_of)
        session, version = await self._executor.load(sessions, claim.id)
        return session and self._standing_of_session(claim.id, session, version, as_of)

    async def _read_account(self, account_id: UUID) -> Standing | None:
        as_of = self._feed.head
        account, version = await self._executor.load(accounts, account_id)
        return account and self._standing_of_account(account_id, account, version, as_of)

    @staticmethod
    def _standing_of_session(
        session_id: UUID, session: Session, version: int, as_of: int
    ) -> Standing:
        worth = _SessionWorth(as_of, session.account_id, session.expires_at)
        return Standing(session_id, version, not session.closed, session.epoch, _encode(worth))

    @staticmethod
    def _standing_of_key(key_id: UUID, key: ApiKey, version: int, as_of: int) -> Standing:
        worth = _SessionWorth(as_of, key.account_id, key.expires_at, frozenset(key.scopes))
        return Standing(key_id, version, not key.revoked, OF_NO_EPOCH, _encode(worth))

    @staticmethod
    def _standing_of_account(
        account_id: UUID, account: Account, version: int, as_of: int
    ) -> Standing:
        is_open = account.state is AccountState.ACTIVE
        worth = _encode(_AccountWorth(as_of, account.role))
        return Standing(account_id, version, is_open, account.epoch, worth, account.spared)


def _known(decode: Callable[[bytes], W], standing: Standing) -> W | None:
    """What the gate keeps; ``None`` when another version wrote it, or it is of another kind."""
    try:
        return decode(standing.value)
    except msgspec.DecodeError:
        return None


def _stand(session: Standing, account: Standing) -> bool:
    same = session.epoch in {OF_NO_EPOCH, account.epoch} or session.id == account.spared
    return session.open and account.open and same
