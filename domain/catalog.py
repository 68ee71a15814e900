"""Every event there is, by its tag; built from the deciders, so none can be forgotten."""

from typing import cast

import msgspec

from domain.accounts import accounts
from domain.alerts import alerts
from domain.api_keys import api_keys
from domain.identities import identities
from domain.installation import installation
from domain.kernel import AnyDecider, Event
from domain.media_requests import media_requests
from domain.notifications.deliveries import deliveries
from domain.notifications.inbox import inboxes, notifications
from domain.notifications.settings import notification_settings
from domain.quotas import quotas
from domain.rate_limits import rate_limit_policies, rate_limit_violations
from domain.sessions import sessions
from domain.sign_ins import sign_ins

DECIDERS: tuple[AnyDecider, ...] = (
    accounts,
    identities,
    sessions,
    sign_ins,
    api_keys,
    installation,
    media_requests,
    quotas,
    rate_limit_policies,
    rate_limit_violations,
    alerts,
    notification_settings,
    notifications,
    inboxes,
    deliveries,
)


def tag_of(event: type[Event]) -> str:
    """The stable name of an event class, such as ``media_request.requested``."""
    tag = cast("msgspec.inspect.StructType", msgspec.inspect.type_info(event)).tag
    if not isinstance(tag, str):
        raise TypeError(f'{event} needs tag="<stream>.<past_verb>".')
    return tag


def _events(deciders: tuple[AnyDecider, ...]) -> dict[str, type[Event]]:
    catalog: dict[str, type[Event]] = {}
    for decider in deciders:
        for event in decider.events:
            tag = tag_of(event)
            if tag in catalog or not tag.startswith(f"{decider.name}."):
                raise TypeError(f"The tag {tag!r} of {event} is taken, or of another stream.")
            catalog[tag] = event
    return catalog


EVENTS: dict[str, type[Event]] = _events(DECIDERS)
