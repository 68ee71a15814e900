import asyncio

import pytest

from application.sign_in import WrongCredentials
from domain.accounts import AccountExists, Role
from domain.installation import WrongSetupToken
from tests.people import AT_HOME, PASSWORD, People, context

ANN = "ann@example.org"
SYSTEM = "system:test"


async def offered(people: People) -> str:
    token = await people.setup.offer(context(SYSTEM))
    assert token is not None
    return token


async def use(people: People, token: str, email: str = ANN) -> None:
    await people.setup.use(token, email, PASSWORD, context("anonymous"))


async def test_who_has_the_token_becomes_the_first_admin_once(people: People) -> None:
    token = await offered(people)
    await use(people, token)
    signed_in = await people.sign_in.with_password(ANN, PASSWORD, AT_HOME, context("anonymous"))
    assert signed_in.account.role is Role.ADMIN
    with pytest.raises(WrongSetupToken):
        await use(people, token, "bob@example.org")
    assert await people.setup.offer(context(SYSTEM)) is None


async def test_of_two_addresses_at_once_one_is_admin_and_the_other_stays_free(
    people: People,
) -> None:
    token = await offered(people)
    addresses = [ANN, "bob@example.org"]
    ended = await asyncio.gather(
        *(use(people, token, email) for email in addresses), return_exceptions=True
    )
    (won,) = [email for email, error in zip(addresses, ended, strict=True) if error is None]
    (lost,) = set(addresses) - {won}
    assert {type(error) for error in ended} == {type(None), AccountExists}
    admin = await people.sign_in.with_password(won, PASSWORD, AT_HOME, context("anonymous"))
    assert admin.account.role is Role.ADMIN
    assert (await people.person(lost)).id != admin.account_id


async def test_only_the_newest_token_is_good(people: People) -> None:
    former, newest = await offered(people), await offered(people)
    with pytest.raises(WrongSetupToken):
        await use(people, former)
    await use(people, newest)


@pytest.mark.parametrize("token", ["", "mns_", "a guess", "mnr_" + "A" * 64])
async def test_a_guess_makes_nobody_an_admin(people: People, token: str) -> None:
    await offered(people)
    before = people.store.head
    with pytest.raises(WrongSetupToken):
        await use(people, token)
    assert people.store.head == before


async def test_an_admin_made_otherwise_ends_the_offer(people: People) -> None:
    token = await offered(people)
    await people.person("operator@example.org", Role.ADMIN)
    with pytest.raises(WrongSetupToken):
        await use(people, token)


async def test_the_first_to_sign_in_is_no_admin(people: People) -> None:
    token = await offered(people)
    await people.person("bob@example.org")
    await use(people, token)


async def test_who_was_cut_off_goes_on_with_the_same_token(people: People) -> None:
    token = await offered(people)
    people.hasher.busy = True
    with pytest.raises(Exception, match="Too many sign-ins"):
        await use(people, token)
    people.hasher.busy = False
    with pytest.raises(WrongCredentials):
        await people.sign_in.with_password(ANN, PASSWORD, AT_HOME, context("anonymous"))
    await use(people, token)
    await people.sign_in.with_password(ANN, PASSWORD, AT_HOME, context("anonymous"))
