from uuid import UUID, uuid4

import pytest

from application.accounts import Accounts, WrongCredentials
from application.execute import Context, Executor
from application.ports import HasherBusy
from domain.accounts import AccountExists, Role, account_id
from infrastructure.security import JwtAccessTokens
from tests.events import NOON
from tests.fakes import InMemoryEventStore, PlainHasher, new_id

tokens = JwtAccessTokens("s" * 32, lambda: NOON)


@pytest.fixture
def hasher() -> PlainHasher:
    return PlainHasher()


@pytest.fixture
def accounts(hasher: PlainHasher) -> Accounts:
    return Accounts(Executor(InMemoryEventStore(), lambda: NOON, new_id), hasher, tokens)


async def opened(accounts: Accounts) -> UUID:
    context = Context("system:test", "test", uuid4())
    return await accounts.open_account("ann@example.org", "secret-1", Role.ADMIN, context)


async def test_who_knows_the_password_gets_a_token_for_their_account(accounts: Accounts) -> None:
    identity = await opened(accounts)
    signed_in = await accounts.sign_in("ANN@example.org", "secret-1")
    caller = tokens.read(signed_in.access.token)
    assert caller is not None
    assert (caller.account_id, caller.role) == (identity, Role.ADMIN)
    assert identity == account_id("ann@example.org")


@pytest.mark.parametrize(
    ("email", "password"), [("ann@example.org", "secret-2"), ("bob@example.org", "secret-1")]
)
async def test_a_wrong_password_and_an_unknown_address_are_refused_alike(
    accounts: Accounts, email: str, password: str
) -> None:
    await opened(accounts)
    with pytest.raises(WrongCredentials) as refusal:
        await accounts.sign_in(email, password)
    assert str(refusal.value) == "The e-mail address or the password is wrong."


async def test_an_address_has_one_account(accounts: Accounts) -> None:
    await opened(accounts)
    with pytest.raises(AccountExists):
        await opened(accounts)


async def test_a_busy_hasher_is_told(accounts: Accounts, hasher: PlainHasher) -> None:
    await opened(accounts)
    hasher.busy = True
    with pytest.raises(HasherBusy):
        await accounts.sign_in("ann@example.org", "secret-1")


async def test_an_account_can_be_looked_at(accounts: Accounts) -> None:
    identity = await opened(accounts)
    account = await accounts.account(identity)
    assert account is not None
    assert account.email == "ann@example.org"
    assert await accounts.account(uuid4()) is None
