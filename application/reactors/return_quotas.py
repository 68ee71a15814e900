"""What was used of a quota is given back when what it was used for has come to nothing."""

from collections.abc import Sequence
from typing import Any

from application.effects import Due, Reactor, ReturnQuotas, SettleQuota
from application.quotas import SETTLING_TIME
from domain.kernel import Recorded
from domain.media_requests import (
    ExtensionDeclined,
    MediaRequestCancelled,
    MediaRequestDeclined,
    MediaRequestWithdrawn,
)
from domain.quotas import QuotaUsed


def react(recorded: Recorded[Any]) -> Sequence[Due]:
    """What is to be given back after the event, at once or when it is settled."""
    match recorded.event:
        case QuotaUsed(account_id, use):
            effect = SettleQuota(account_id, use.id, use.request_id)
            return (Due(effect, recorded.at + SETTLING_TIME),)
        case (
            MediaRequestDeclined()
            | ExtensionDeclined()
            | MediaRequestCancelled()
            | MediaRequestWithdrawn()
        ):
            return (Due(ReturnQuotas(recorded.stream_id, recorded.version)),)
        case _:
            return ()


return_quotas = Reactor("return_quotas", react)
