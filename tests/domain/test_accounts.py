from domain.accounts import AccountExists, AccountOpened, OpenAccount, Role, account_id, accounts
from tests.given import given

opened = AccountOpened("ann@example.org", "$argon2id$…", Role.USER)


def test_an_account_can_be_opened() -> None:
    given(accounts).when(OpenAccount(" ann@example.org ", "$argon2id$…", Role.USER)).then(opened)


def test_an_address_has_one_account() -> None:
    given(accounts, opened).when(OpenAccount("ann@example.org", "other", Role.ADMIN)).then_refused(
        AccountExists
    )


def test_the_case_of_an_address_makes_no_other_account() -> None:
    assert account_id("Ann@Example.org ") == account_id("ann@example.org")
    assert account_id("ann@example.org") != account_id("bob@example.org")
