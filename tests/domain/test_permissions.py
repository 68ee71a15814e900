"""The table of permissions, written down a second time: whoever changes it must mean to."""

import pytest

from domain.accounts import AccountState, Role
from domain.api_keys import Scope
from domain.permissions import PERMISSIONS, Action, Whose, reach
from domain.rate_limits import Policy

FOR_ANYONE = {
    Action.LOOK_FROM_OUTSIDE,
    Action.HEAR_OVERSEERR,
    Action.SIGN_IN,
    Action.CONTINUE_SIGN_IN,
}
OF_ONES_OWN = {
    Action.SEE_OWN_ACCOUNT,
    Action.CHANGE_OWN_ACCOUNT,
    Action.SEE_SESSIONS,
    Action.CLOSE_SESSION,
    Action.SEE_API_KEYS,
    Action.MAKE_API_KEY,
    Action.REVOKE_API_KEY,
    Action.REQUEST_MEDIA,
    Action.SEE_QUOTA,
    Action.SEE_NOTIFICATIONS,
    Action.CHANGE_NOTIFICATIONS,
}
FOR_EVERYBODY_WITH_AN_ACCOUNT = {Action.SEE_TITLES, Action.FOLLOW_REQUEST}
OF_ALL_FOR_ADMINS = {
    Action.SEE_REQUEST,
    Action.END_REQUEST,
    Action.RETRY_REQUEST,
    Action.FOLLOW_EVENTS,
}
FOR_ADMINS = {
    Action.CHANGE_QUOTA,
    Action.JUDGE_REQUEST,
    Action.EXPORT_REQUESTS,
    Action.AUDIT,
    Action.SEE_ACCOUNTS,
    Action.END_SESSIONS,
    Action.SEE_RATE_LIMITS,
    Action.CHANGE_RATE_LIMIT,
    Action.SEE_ERRORS,
    Action.SEE_ALERTS,
    Action.ACKNOWLEDGE_ALERT,
}
TO_OTHERS_BY_ADMINS = {Action.GRANT_ROLE, Action.SUSPEND_ACCOUNT, Action.FORGET_ACCOUNT}
CHANGES = {
    Action.REQUEST_MEDIA,
    Action.FOLLOW_REQUEST,
    Action.END_REQUEST,
    Action.RETRY_REQUEST,
    Action.CHANGE_NOTIFICATIONS,
}
NOT_BY_KEY = {
    Action.CHANGE_OWN_ACCOUNT,
    Action.SEE_SESSIONS,
    Action.CLOSE_SESSION,
    Action.SEE_API_KEYS,
    Action.MAKE_API_KEY,
    Action.REVOKE_API_KEY,
}

GROUPS: list[tuple[set[Action], Whose, Whose]] = [
    (FOR_ANYONE, Whose.ALL, Whose.ALL),
    (FOR_EVERYBODY_WITH_AN_ACCOUNT, Whose.ALL, Whose.ALL),
    (OF_ONES_OWN, Whose.OWN, Whose.OWN),
    (OF_ALL_FOR_ADMINS, Whose.OWN, Whose.ALL),
    (FOR_ADMINS, Whose.NOBODYS, Whose.ALL),
    (TO_OTHERS_BY_ADMINS, Whose.NOBODYS, Whose.OTHERS),
]
EXPECTED = {action: (user, admin) for actions, user, admin in GROUPS for action in sorted(actions)}


def test_every_action_is_in_the_table_and_here() -> None:
    assert PERMISSIONS.keys() == EXPECTED.keys() == set(Action)
    assert sum(len(actions) for actions, _, _ in GROUPS) == len(Action)


@pytest.mark.parametrize("action", Action)
def test_whose_things_each_role_may_touch(action: Action) -> None:
    assert (reach(action, Role.USER), reach(action, Role.ADMIN)) == EXPECTED[action]


@pytest.mark.parametrize("action", sorted(set(Action) - FOR_ANYONE))
@pytest.mark.parametrize("state", [AccountState.SUSPENDED, AccountState.FORGOTTEN])
def test_who_is_not_active_may_do_only_what_anyone_may(action: Action, state: AccountState) -> None:
    assert reach(action, Role.ADMIN, state) is Whose.NOBODYS


@pytest.mark.parametrize("action", sorted(FOR_ANYONE))
@pytest.mark.parametrize("scopes", [None, frozenset[Scope]()])
def test_what_anyone_may_needs_no_account(action: Action, scopes: frozenset[Scope] | None) -> None:
    assert reach(action, Role.USER, AccountState.FORGOTTEN, scopes) is Whose.ALL


@pytest.mark.parametrize("action", sorted(NOT_BY_KEY))
def test_what_guards_an_account_needs_a_person(action: Action) -> None:
    assert reach(action, Role.ADMIN, scopes=frozenset(Scope)) is Whose.NOBODYS


@pytest.mark.parametrize("action", sorted(set(Action) - FOR_ANYONE - NOT_BY_KEY))
@pytest.mark.parametrize("role", Role)
def test_a_key_reaches_as_far_as_its_owner_with_the_one_scope_and_nowhere_without(
    action: Action, role: Role
) -> None:
    worth = {scope: reach(action, role, scopes=frozenset({scope})) for scope in Scope}
    if action in FOR_ADMINS | TO_OTHERS_BY_ADMINS:
        needed = Scope.ADMIN
    else:
        needed = Scope.WRITE if action in CHANGES else Scope.READ
    assert worth.pop(needed) == reach(action, role)
    assert set(worth.values()) == {Whose.NOBODYS}
    assert reach(action, role, scopes=frozenset()) is Whose.NOBODYS


def test_guessing_a_password_counts_against_the_strict_limit() -> None:
    guessing = {action for action in Action if PERMISSIONS[action].policy is Policy.AUTH}
    assert guessing == {Action.SIGN_IN, Action.CHANGE_OWN_ACCOUNT}
    steering = {action for action in Action if PERMISSIONS[action].policy is Policy.ADMIN}
    assert steering == FOR_ADMINS | TO_OTHERS_BY_ADMINS
    uncounted = {action for action in Action if PERMISSIONS[action].policy is None}
    assert uncounted == {Action.LOOK_FROM_OUTSIDE, Action.HEAR_OVERSEERR}
