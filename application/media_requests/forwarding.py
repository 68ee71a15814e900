"""Telling Overseerr of requests, and what it says of them."""

from application.accounts import Accounts
from application.effects import CancelForwarding, ForwardRequest, Job
from application.execute import Context, Executed, Executor
from application.ports import Clock, ForwardingFailure, RequestForwarder, Shelf
from application.shelf import confirmed, wanted_seasons
from domain.media_requests import (
    MediaRequest,
    RecordCancelling,
    RecordCancellingFailure,
    RecordForwarding,
    RecordForwardingFailure,
    RecordUpstream,
    RequestStatus,
    media_request_id,
    media_requests,
)


class Forwarding:
    """What workers do for requests. Without a ``forwarder`` they wait for an admin.

    With a ``shelf``, what Overseerr calls available is so once it is there, too.
    """

    def __init__(
        self,
        executor: Executor,
        accounts: Accounts,
        forwarder: RequestForwarder | None,
        clock: Clock,
        *,
        shelf: Shelf | None = None,
    ) -> None:
        self._executor = executor
        self._accounts = accounts
        self._forwarder = forwarder
        self._clock = clock
        self._shelf = shelf

    async def forward_request(self, effect: ForwardRequest, job: Job) -> None:
        """Make sure that Overseerr has the request, and record what came of it."""
        request = await self._executor.state(media_requests, effect.request_id)
        if self._forwarder is None or request is None:
            return
        if request.status is not RequestStatus.PENDING or _is_late(effect.attempt, request):
            return
        outcome: RecordForwarding | RecordForwardingFailure
        try:
            outcome = await self._submit(self._forwarder, request)
        except ForwardingFailure as failure:
            outcome = RecordForwardingFailure(
                failure.problem, str(failure), self._clock(), failure.retry_after
            )
        context = job.context("system:forward_requests", "outcome")
        await self._executor.execute(media_requests, effect.request_id, outcome, context)

    async def cancel_forwarding(self, effect: CancelForwarding, job: Job) -> None:
        """Let Overseerr let go of what we have made there of a request that has ended."""
        request = await self._executor.state(media_requests, effect.request_id)
        if self._forwarder is None or request is None or _is_late(effect.attempt, request):
            return
        for overseerr_id in request.to_cancel:
            outcome: RecordCancelling | RecordCancellingFailure = RecordCancelling(overseerr_id)
            try:
                await self._forwarder.cancel(overseerr_id)
            except ForwardingFailure as failure:
                outcome = RecordCancellingFailure(
                    failure.problem, str(failure), self._clock(), failure.retry_after
                )
            context = job.context("system:cancel_forwarding", f"outcome of {overseerr_id}")
            await self._executor.execute(media_requests, effect.request_id, outcome, context)
            if isinstance(outcome, RecordCancellingFailure):
                return  # the next attempt goes on from here

    async def follow_upstream(
        self, request: MediaRequest, context: Context
    ) -> Executed[MediaRequest] | None:
        """Look how the request stands at Overseerr, and record what differs, if anything does.

        ``None`` when there is nothing to look at. Raises ForwardingFailure, BadPlexToken or
        PlexUnavailable.
        """
        if self._forwarder is None or request.overseerr_id is None or request.unwanted:
            return None
        there = await self._forwarder.look(request.overseerr_id, wanted_seasons(request))
        status = await confirmed(self._shelf, request, there)
        command = RecordUpstream(request.overseerr_id, status)
        request_id = media_request_id(request.media)
        return await self._executor.execute(media_requests, request_id, command, context)

    async def _submit(self, forwarder: RequestForwarder, request: MediaRequest) -> RecordForwarding:
        """Whether it is there already is asked first.

        An earlier attempt may have been cut off between Overseerr's doing and our recording it.
        """
        found = await forwarder.find(request)
        if found is not None:
            return RecordForwarding(found, already_there=True, revision=request.revision)
        email = await self._accounts.email_of(request.requested_by)
        made = await forwarder.submit(request, on_behalf_of=email)
        return RecordForwarding(made, revision=request.revision)


def _is_late(attempt: int | None, request: MediaRequest) -> bool:
    """Whether the attempt belongs to a chain of attempts that was begun anew meanwhile.

    Jobs of earlier versions say nothing of it.
    """
    return attempt not in {None, request.attempts}
