"""Who may ask for how much, and what has used it."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from application.effects import Job, ReturnQuotas, SettleQuota
from application.execute import Context, Executed, Executor
from application.ports import Clock, EventStore
from domain.accounts import Role
from domain.kernel import History
from domain.media_requests import (
    ExtensionDeclined,
    MediaRequestApproved,
    MediaRequested,
    MediaRequestExtended,
    MediaRequestForwarded,
    MediaRequestWithdrawn,
    MediaType,
)
from domain.quotas import (
    EndQuotaOverride,
    OverrideQuota,
    Quota,
    QuotaCommand,
    Quotas,
    ReturnQuota,
    Standing,
    Use,
    UseQuota,
    quotas,
    quotas_id,
)

SETTLING_TIME = timedelta(minutes=5)
"""Far longer than it takes to keep a request for which a place was taken."""


class PersonsQuotas:
    """The use cases of quotas; ``rules`` are the house's, for who is no admin."""

    def __init__(
        self,
        executor: Executor,
        store: EventStore,
        rules: Mapping[MediaType, Quota | None],
        clock: Clock,
    ) -> None:
        self._executor = executor
        self._store = store
        self._rules = rules
        self._clock = clock

    async def applies_to(self, account_id: UUID, role: Role, media_type: MediaType) -> bool:
        """Whether what the person asks for is counted. Admins may ask for anything."""
        if role is Role.ADMIN:
            return False
        known = await self._executor.state(quotas, quotas_id(account_id)) or Quotas()
        return known.overrides.get(media_type, self._rules.get(media_type)) is not None

    async def use(
        self, account_id: UUID, media_type: MediaType, request_id: UUID, context: Context
    ) -> None:
        """Take a place for what is asked for by the command of ``context``.

        Raises QuotaUsedUp, and what the executor raises.
        """
        use = Use(context.command_id, media_type, request_id, self._clock())
        command = UseQuota(account_id, use, self._rules.get(media_type))
        await self._executor.execute(
            quotas, quotas_id(account_id), command, context.step("use quota")
        )

    async def give_back(self, account_id: UUID, use_id: UUID, context: Context) -> None:
        """Set free what was used, if anything was."""
        if await self._executor.state(quotas, quotas_id(account_id)) is None:
            return  # nothing was ever counted
        command, step = ReturnQuota(use_id), context.step(f"give {use_id} back")
        await self._executor.execute(quotas, quotas_id(account_id), command, step)

    async def of(self, account_id: UUID, role: Role) -> tuple[Standing, ...]:
        """What is left to the person, for each kind of media."""
        known = await self._executor.state(quotas, quotas_id(account_id)) or Quotas()
        if role is Role.ADMIN:
            return tuple(Standing(media_type, None, (), None) for media_type in MediaType)
        now = self._clock()
        return tuple(
            known.standing(media_type, self._rules.get(media_type), now) for media_type in MediaType
        )

    async def override(
        self,
        account_id: UUID,
        media_type: MediaType,
        quota: Quota | None,
        by: UUID,
        context: Context,
    ) -> Executed[Quotas]:
        """Let the person ask for more or less than the house's rule; ``None`` is any."""
        return await self._change(account_id, OverrideQuota(media_type, quota, by), context)

    async def end_override(
        self, account_id: UUID, media_type: MediaType, by: UUID, context: Context
    ) -> int:
        """Let the house's rule hold again; the position."""
        if await self._executor.state(quotas, quotas_id(account_id)) is None:
            return 0
        command = EndQuotaOverride(media_type, by)
        return (await self._change(account_id, command, context)).position

    async def settle(self, effect: SettleQuota, job: Job) -> None:
        """Give a place back if what it was taken for was never kept."""
        history = await self._store.read_stream(effect.request_id)
        if not any(recorded.metadata.command_id == effect.use_id for recorded in history):
            context = job.context("system:quotas", "settle")
            await self.give_back(effect.account_id, effect.use_id, context)

    async def return_refused(self, effect: ReturnQuotas, job: Job) -> None:
        """Give back the places of a request, or of the part of it, that has come to nothing.

        Who takes back what Overseerr has already has used theirs.
        """
        history = await self._store.read_stream(effect.request_id)
        for account_id, use_id in _refused(history[: effect.version]):
            await self.give_back(account_id, use_id, job.context("system:quotas", "return"))

    async def _change(
        self, account_id: UUID, command: QuotaCommand, context: Context
    ) -> Executed[Quotas]:
        return await self._executor.execute(quotas, quotas_id(account_id), command, context)


def _refused(history: History) -> list[tuple[UUID, UUID]]:
    """Whose askings have come to nothing with the last event: the person and the command."""
    refusal = history[-1].event
    if isinstance(refusal, ExtensionDeclined):
        return _waiting(history[:-1])
    askings: list[tuple[UUID, UUID]] = []
    has_gone = False
    for recorded in history:
        match recorded.event:
            case MediaRequested(requested_by=person):
                askings, has_gone = [(person, recorded.metadata.command_id)], False
            case MediaRequestExtended(requested_by=person):
                askings.append((person, recorded.metadata.command_id))
            case MediaRequestForwarded():
                has_gone = True
            case _:
                pass
    return [] if has_gone and isinstance(refusal, MediaRequestWithdrawn) else askings


def _waiting(history: History) -> list[tuple[UUID, UUID]]:
    """The askings for more that wait for approval while the rest goes on."""
    waiting: list[tuple[UUID, UUID]] = []
    for recorded in history:
        match recorded.event:
            case MediaRequested() | MediaRequestApproved() | ExtensionDeclined():
                waiting = []
            case MediaRequestExtended(requested_by=person, needs_approval=True):
                waiting.append((person, recorded.metadata.command_id))
            case _:
                pass
    return waiting
