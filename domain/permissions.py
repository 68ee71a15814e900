"""Who may do what: role x own or others' x state x action, as one table.

Nothing else decides this. Every route and every live topic names its action.
"""

from enum import Flag, StrEnum, auto

import msgspec

from domain.accounts import AccountState, Role
from domain.api_keys import Scope
from domain.rate_limits import Policy


class Whose(Flag):
    """Whose things an action may touch."""

    NOBODYS = 0
    OWN = auto()
    OTHERS = auto()
    ALL = OWN | OTHERS


class Action(StrEnum):
    """What one may want to do."""

    LOOK_FROM_OUTSIDE = "look_from_outside"
    HEAR_OVERSEERR = "hear_overseerr"
    SIGN_IN = "sign_in"
    CONTINUE_SIGN_IN = "continue_sign_in"
    SEE_OWN_ACCOUNT = "see_own_account"
    CHANGE_OWN_ACCOUNT = "change_own_account"
    SEE_SESSIONS = "see_sessions"
    CLOSE_SESSION = "close_session"
    SEE_API_KEYS = "see_api_keys"
    MAKE_API_KEY = "make_api_key"
    REVOKE_API_KEY = "revoke_api_key"
    SEE_TITLES = "see_titles"
    REQUEST_MEDIA = "request_media"
    SEE_REQUEST = "see_request"
    SEE_QUOTA = "see_quota"
    CHANGE_QUOTA = "change_quota"
    FOLLOW_REQUEST = "follow_request"
    END_REQUEST = "end_request"
    RETRY_REQUEST = "retry_request"
    JUDGE_REQUEST = "judge_request"
    EXPORT_REQUESTS = "export_requests"
    SEE_NOTIFICATIONS = "see_notifications"
    CHANGE_NOTIFICATIONS = "change_notifications"
    FOLLOW_EVENTS = "follow_events"
    AUDIT = "audit"
    SEE_ACCOUNTS = "see_accounts"
    GRANT_ROLE = "grant_role"
    SUSPEND_ACCOUNT = "suspend_account"
    END_SESSIONS = "end_sessions"
    FORGET_ACCOUNT = "forget_account"
    SEE_RATE_LIMITS = "see_rate_limits"
    CHANGE_RATE_LIMIT = "change_rate_limit"
    SEE_ERRORS = "see_errors"
    SEE_ALERTS = "see_alerts"
    ACKNOWLEDGE_ALERT = "acknowledge_alert"


class Rule(msgspec.Struct, frozen=True):
    """Whose things each role may touch by an action, and which limit its calls count against.

    ``anyone`` need not sign in. An API key needs the ``scope``; without one it must be a person
    who has signed in. Only active accounts may do anything that not anyone may.
    """

    user: Whose
    admin: Whose
    scope: Scope | None = None
    policy: Policy | None = Policy.GENERAL
    anyone: bool = False


def _anyone(policy: Policy | None) -> Rule:
    return Rule(Whose.ALL, Whose.ALL, Scope.READ, policy, anyone=True)


_SELF = Rule(Whose.OWN, Whose.OWN)
_STEER = Rule(Whose.NOBODYS, Whose.ALL, Scope.ADMIN, Policy.ADMIN)
_STEER_OTHERS = Rule(Whose.NOBODYS, Whose.OTHERS, Scope.ADMIN, Policy.ADMIN)
"""No admin can shut themselves out, so there is always one left to undo it."""

PERMISSIONS: dict[Action, Rule] = {
    Action.LOOK_FROM_OUTSIDE: _anyone(None),
    Action.HEAR_OVERSEERR: _anyone(None),  # with the secret that only the two of us know
    Action.SIGN_IN: _anyone(Policy.AUTH),
    Action.CONTINUE_SIGN_IN: _anyone(Policy.GENERAL),
    Action.SEE_OWN_ACCOUNT: Rule(Whose.OWN, Whose.OWN, Scope.READ),
    Action.CHANGE_OWN_ACCOUNT: Rule(Whose.OWN, Whose.OWN, policy=Policy.AUTH),
    Action.SEE_SESSIONS: _SELF,
    Action.CLOSE_SESSION: _SELF,
    Action.SEE_API_KEYS: _SELF,
    Action.MAKE_API_KEY: _SELF,
    Action.REVOKE_API_KEY: _SELF,
    Action.SEE_TITLES: Rule(Whose.ALL, Whose.ALL, Scope.READ),
    Action.REQUEST_MEDIA: Rule(Whose.OWN, Whose.OWN, Scope.WRITE),
    Action.SEE_REQUEST: Rule(Whose.OWN, Whose.ALL, Scope.READ),
    Action.SEE_QUOTA: Rule(Whose.OWN, Whose.OWN, Scope.READ),
    Action.CHANGE_QUOTA: _STEER,
    Action.FOLLOW_REQUEST: Rule(Whose.ALL, Whose.ALL, Scope.WRITE),
    Action.END_REQUEST: Rule(Whose.OWN, Whose.ALL, Scope.WRITE),
    Action.RETRY_REQUEST: Rule(Whose.OWN, Whose.ALL, Scope.WRITE),
    Action.JUDGE_REQUEST: _STEER,
    Action.EXPORT_REQUESTS: _STEER,
    Action.SEE_NOTIFICATIONS: Rule(Whose.OWN, Whose.OWN, Scope.READ),
    Action.CHANGE_NOTIFICATIONS: Rule(Whose.OWN, Whose.OWN, Scope.WRITE),
    Action.FOLLOW_EVENTS: Rule(Whose.OWN, Whose.ALL, Scope.READ),
    Action.AUDIT: _STEER,
    Action.SEE_ACCOUNTS: _STEER,
    Action.GRANT_ROLE: _STEER_OTHERS,
    Action.SUSPEND_ACCOUNT: _STEER_OTHERS,
    Action.END_SESSIONS: _STEER,
    Action.FORGET_ACCOUNT: _STEER_OTHERS,
    Action.SEE_RATE_LIMITS: _STEER,
    Action.CHANGE_RATE_LIMIT: _STEER,
    Action.SEE_ERRORS: _STEER,
    Action.SEE_ALERTS: _STEER,
    Action.ACKNOWLEDGE_ALERT: _STEER,
}


def reach(
    action: Action,
    role: Role,
    state: AccountState = AccountState.ACTIVE,
    scopes: frozenset[Scope] | None = None,
) -> Whose:
    """Whose things the action may touch; ``scopes`` are those of an API key, if it is one."""
    rule = PERMISSIONS[action]
    if rule.anyone:
        return Whose.ALL
    if state is not AccountState.ACTIVE:
        return Whose.NOBODYS
    if scopes is not None and rule.scope not in scopes:
        return Whose.NOBODYS
    return rule.admin if role is Role.ADMIN else rule.user
