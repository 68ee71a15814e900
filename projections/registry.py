"""Every read model there is, in one explicit tuple."""

from projections.accounts import ACCOUNTS
from projections.activity import ACTIVITY
from projections.alerts import ALERTS
from projections.api_keys import API_KEYS
from projections.deliveries import DELIVERIES
from projections.kernel import AnyReadModel
from projections.media_requests import MEDIA_REQUESTS
from projections.notifications import INBOXES, NOTIFICATIONS
from projections.rate_limits import RATE_LIMIT_POLICIES, RATE_LIMIT_VIOLATIONS
from projections.sessions import SESSIONS

READ_MODELS: tuple[AnyReadModel, ...] = (
    MEDIA_REQUESTS,
    RATE_LIMIT_POLICIES,
    RATE_LIMIT_VIOLATIONS,
    ALERTS,
    ACCOUNTS,
    SESSIONS,
    API_KEYS,
    ACTIVITY,
    NOTIFICATIONS,
    INBOXES,
    DELIVERIES,
)
