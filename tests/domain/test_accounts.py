from uuid import UUID

import pytest

from domain.accounts import (
    Account,
    AccountCommand,
    AccountEvent,
    AccountExists,
    AccountForgotten,
    AccountIsSuspended,
    AccountOpened,
    AccountRenamed,
    AccountRestored,
    AccountState,
    AccountSuspended,
    ChangeEmail,
    ChangePassword,
    ChangeRole,
    EmailChanged,
    EndSessions,
    ForgetAccount,
    OpenAccount,
    PasswordChanged,
    PasswordRehashed,
    RehashPassword,
    RenameAccount,
    RestoreAccount,
    Role,
    RoleChanged,
    SessionsEnded,
    SuspendAccount,
    UnknownAccount,
    accounts,
)
from tests.given import given

EMAIL = UUID(int=1)
OTHER_EMAIL = UUID(int=2)
SESSION = UUID(int=3)

opened = AccountOpened(Role.USER, EMAIL, "sealed e-mail", "sealed password", "sealed name")
suspended = AccountSuspended()
forgotten = AccountForgotten()

OF_ITS_PERSON: list[AccountCommand] = [
    ChangeEmail("sealed", OTHER_EMAIL),
    RenameAccount("sealed"),
    ChangePassword("sealed"),
    RehashPassword("sealed password", "sealed"),
    EndSessions(),
]
OF_ADMINS: list[AccountCommand] = [
    ChangeRole(Role.ADMIN),
    SuspendAccount(),
    RestoreAccount(),
    ForgetAccount(),
]


def account(*events: AccountEvent) -> Account:
    folded = accounts.fold((opened, *events))
    assert folded is not None
    return folded


def test_an_account_can_be_opened() -> None:
    given(accounts).when(
        OpenAccount(Role.USER, EMAIL, "sealed e-mail", "sealed password", "sealed name")
    ).then(opened)


def test_whoever_signs_in_through_plex_needs_no_address_and_no_password() -> None:
    given(accounts).when(OpenAccount(Role.USER, EMAIL)).then(AccountOpened(Role.USER, EMAIL))


@pytest.mark.parametrize("then", [(), (suspended,), (forgotten,)])
def test_an_account_is_opened_once(then: tuple[AccountEvent, ...]) -> None:
    given(accounts, opened, *then).when(OpenAccount(Role.ADMIN, EMAIL)).then_refused(AccountExists)


@pytest.mark.parametrize("command", [*OF_ITS_PERSON, *OF_ADMINS], ids=lambda it: type(it).__name__)
def test_an_account_that_was_never_opened_is_unknown(command: AccountCommand) -> None:
    given(accounts).when(command).then_refused(UnknownAccount)


@pytest.mark.parametrize(
    "command", [*OF_ITS_PERSON, *OF_ADMINS[:-1]], ids=lambda it: type(it).__name__
)
def test_an_account_that_was_forgotten_is_unknown(command: AccountCommand) -> None:
    given(accounts, opened, forgotten).when(command).then_refused(UnknownAccount)


@pytest.mark.parametrize("command", OF_ITS_PERSON, ids=lambda it: type(it).__name__)
def test_its_person_can_do_nothing_while_it_is_suspended(command: AccountCommand) -> None:
    given(accounts, opened, suspended).when(command).then_refused(AccountIsSuspended)


def test_another_address_replaces_the_one_before() -> None:
    given(accounts, opened).when(ChangeEmail("sealed", OTHER_EMAIL)).then(
        EmailChanged("sealed", OTHER_EMAIL, replaced=EMAIL)
    )


def test_the_same_address_changes_nothing_however_it_is_sealed() -> None:
    given(accounts, opened).when(ChangeEmail("sealed anew", EMAIL)).then_nothing()
    changed = EmailChanged("sealed", OTHER_EMAIL, replaced=EMAIL)
    given(accounts, opened, changed).when(ChangeEmail("sealed", OTHER_EMAIL)).then_nothing()


def test_a_person_can_be_called_otherwise_or_by_the_address() -> None:
    given(accounts, opened).when(RenameAccount("sealed")).then(AccountRenamed("sealed"))
    given(accounts, opened).when(RenameAccount(None)).then(AccountRenamed(None))
    given(accounts, opened).when(RenameAccount("sealed name")).then_nothing()


def test_a_new_password_may_spare_the_session_in_which_it_was_chosen() -> None:
    given(accounts, opened).when(ChangePassword("sealed", spared=SESSION)).then(
        PasswordChanged("sealed", spared=SESSION)
    )


def test_a_password_is_hashed_anew() -> None:
    given(accounts, opened).when(RehashPassword("sealed password", "stronger")).then(
        PasswordRehashed("stronger")
    )


def test_a_password_that_was_changed_meanwhile_is_not_put_back() -> None:
    given(accounts, opened, PasswordChanged("new")).when(
        RehashPassword("sealed password", "stronger")
    ).then_nothing()


def test_all_sessions_can_be_ended_again_and_again() -> None:
    given(accounts, opened, SessionsEnded()).when(EndSessions()).then(SessionsEnded())


def test_a_role_is_changed_once() -> None:
    given(accounts, opened).when(ChangeRole(Role.ADMIN)).then(RoleChanged(Role.ADMIN))
    given(accounts, opened, RoleChanged(Role.ADMIN)).when(ChangeRole(Role.ADMIN)).then_nothing()


def test_an_account_is_suspended_and_restored_once() -> None:
    given(accounts, opened).when(SuspendAccount()).then(suspended)
    given(accounts, opened, suspended).when(SuspendAccount()).then_nothing()
    given(accounts, opened, suspended).when(RestoreAccount()).then(AccountRestored())
    given(accounts, opened).when(RestoreAccount()).then_nothing()


@pytest.mark.parametrize("then", [(), (suspended,)])
def test_an_account_is_forgotten_even_while_it_is_suspended(
    then: tuple[AccountEvent, ...],
) -> None:
    given(accounts, opened, *then).when(ForgetAccount()).then(forgotten)


def test_forgetting_may_be_repeated() -> None:
    given(accounts, opened, forgotten).when(ForgetAccount()).then_nothing()


def test_nothing_that_names_the_person_is_left_of_a_forgotten_account() -> None:
    left = account(forgotten)
    assert (left.email, left.password, left.name) == (None, None, None)
    assert (left.state, left.identity) == (AccountState.FORGOTTEN, EMAIL)


@pytest.mark.parametrize(
    ("events", "epoch", "spared"),
    [
        ((), 0, None),
        ((SessionsEnded(),), 1, None),
        ((suspended, AccountRestored()), 1, None),
        ((forgotten,), 1, None),
        ((PasswordChanged("new"),), 1, None),
        ((PasswordChanged("new", SESSION),), 1, SESSION),
        ((PasswordChanged("new", SESSION), SessionsEnded()), 2, None),
        ((PasswordChanged("new", SESSION), PasswordChanged("newer", UUID(int=4))), 2, UUID(int=4)),
        (
            (
                PasswordRehashed("stronger"),
                AccountRenamed(None),
                EmailChanged("sealed", OTHER_EMAIL, EMAIL),
                RoleChanged(Role.ADMIN),
            ),
            0,
            None,
        ),
    ],
)
def test_an_epoch_ends_with_all_of_its_sessions_but_the_one_last_spared(
    events: tuple[AccountEvent, ...], epoch: int, spared: UUID | None
) -> None:
    folded = account(*events)
    assert (folded.epoch, folded.spared) == (epoch, spared)


def test_an_account_is_what_happened_to_it() -> None:
    assert account(
        EmailChanged("other e-mail", OTHER_EMAIL, EMAIL),
        AccountRenamed("other name"),
        PasswordRehashed("other password"),
        RoleChanged(Role.ADMIN),
    ) == Account(Role.ADMIN, OTHER_EMAIL, "other e-mail", "other password", "other name")
