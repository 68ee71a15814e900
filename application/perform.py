"""Which use case performs which effect: one table for every worker."""

from typing import assert_never

from application.accounts import Accounts
from application.effects import FinishForgetting, ForwardRequest, Job
from application.media_requests import MediaRequests


class Performer:
    """Performs the effects of reactors."""

    def __init__(self, media_requests: MediaRequests, accounts: Accounts) -> None:
        self._media_requests = media_requests
        self._accounts = accounts

    async def perform(self, job: Job) -> None:
        """Perform the job's effect; performing it again changes nothing more."""
        match job.effect:
            case ForwardRequest():
                await self._media_requests.forward_request(job.effect, job)
            case FinishForgetting(account_id):
                context = job.context("system:finish_forgetting", "finish")
                await self._accounts.finish_forgetting(account_id, context)
            case _:
                assert_never(job.effect)
