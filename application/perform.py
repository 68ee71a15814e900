"""Which use case performs which effect: one table for every worker."""

from typing import assert_never

from application.accounts import Accounts
from application.effects import (
    CancelForwarding,
    Deliver,
    FinishForgetting,
    FollowUpstream,
    ForwardRequest,
    Job,
    ReturnQuotas,
    SettleQuota,
    TellAbout,
)
from application.media_requests import Forwarding
from application.notifications import Delivering, Telling
from application.quotas import PersonsQuotas
from application.upstream_news import UpstreamNews


class Performer:
    """Performs the effects of reactors."""

    def __init__(
        self,
        forwarding: Forwarding,
        news: UpstreamNews,
        quotas: PersonsQuotas,
        accounts: Accounts,
        telling: Telling,
        delivering: Delivering,
    ) -> None:
        self._forwarding = forwarding
        self._news = news
        self._quotas = quotas
        self._accounts = accounts
        self._telling = telling
        self._delivering = delivering

    async def perform(self, job: Job) -> None:
        """Perform the job's effect; performing it again changes nothing more."""
        match job.effect:
            case ForwardRequest():
                await self._forwarding.forward_request(job.effect, job)
            case CancelForwarding():
                await self._forwarding.cancel_forwarding(job.effect, job)
            case FollowUpstream():
                await self._news.follow(job.effect, job)
            case SettleQuota():
                await self._quotas.settle(job.effect, job)
            case ReturnQuotas():
                await self._quotas.return_refused(job.effect, job)
            case FinishForgetting(account_id):
                context = job.context("system:finish_forgetting", "finish")
                await self._accounts.finish_forgetting(account_id, context)
            case TellAbout():
                await self._telling.tell(job.effect, job)
            case Deliver():
                await self._delivering.deliver(job.effect, job)
            case _:
                assert_never(job.effect)
