from uuid import uuid4

import pytest

from application.accounts import NoPassword, WrongPassword
from application.execute import Context
from application.ports import HasherBusy, PlexUser
from application.sign_in import WrongCredentials
from domain.accounts import (
    AccountExists,
    AccountForgotten,
    AccountState,
    PasswordChanged,
    Role,
    UnknownAccount,
)
from domain.identities import IdentityClaimed
from tests.people import AT_HOME, PASSWORD, People, context

ANN = "ann@example.org"
SYSTEM = "system:test"


async def opened(people: People, email: str = ANN) -> Context:
    made = context(SYSTEM)
    await people.accounts.open_account(email, PASSWORD, Role.USER, made)
    return made


@pytest.mark.parametrize("email", [ANN, "ANN@Example.org", f"  {ANN} "])
async def test_an_address_has_one_account_however_it_is_written(people: People, email: str) -> None:
    await opened(people)
    with pytest.raises(AccountExists):
        await people.accounts.open_account(email, PASSWORD, Role.USER, context(SYSTEM))


async def test_what_was_cut_off_after_the_claim_is_finished_by_the_next(people: People) -> None:
    first_try = uuid4()
    identity = people.identities.of_email(ANN)
    await people.identities.claim(identity, first_try, context(SYSTEM))
    account_id = await people.accounts.open_account(ANN, PASSWORD, Role.USER, context(SYSTEM))
    assert account_id == first_try
    assert await people.identities.holder(identity) == first_try


async def test_a_busy_hasher_is_told_and_opens_nothing(people: People) -> None:
    people.hasher.busy = True
    with pytest.raises(HasherBusy):
        await opened(people)
    assert [type(each.event) for each in people.store.events] == [IdentityClaimed]
    people.hasher.busy = False
    await opened(people)


async def test_what_names_a_person_stands_nowhere_in_the_clear(people: People) -> None:
    ann = await people.person(ANN)
    await people.accounts.rename(ann.id, "Ann Archer", context(SYSTEM))
    stored = str(people.store.events)
    for name in (ANN, "Ann Archer", PASSWORD, AT_HOME.address):
        assert name not in stored
    profile = await people.accounts.profile(ann.id)
    assert (profile.email, profile.name) == (ANN, "Ann Archer")


async def test_another_address_frees_the_old_one(people: People) -> None:
    ann = await people.person(ANN)
    caller = await people.caller(ann.token)
    await people.accounts.change_email(caller, "ann@example.net", PASSWORD, context(SYSTEM))
    assert (await people.accounts.profile(ann.id)).email == "ann@example.net"
    await people.person(ANN)  # somebody else may have it now
    with pytest.raises(AccountExists):
        await people.accounts.change_email(caller, ANN, PASSWORD, context(SYSTEM))


async def test_a_change_needs_the_present_password(people: People) -> None:
    ann = await people.person(ANN)
    caller = await people.caller(ann.token)
    before = people.store.head
    with pytest.raises(WrongPassword):
        await people.accounts.change_email(caller, "b@example.org", "wrong", context(SYSTEM))
    with pytest.raises(WrongPassword):
        await people.accounts.change_password(caller, "wrong", "another one", context(SYSTEM))
    assert people.store.head == before


async def test_who_came_through_plex_has_no_password_to_change(people: People) -> None:
    people.plex.members["token"] = PlexUser(1, "ann", None, owner=False)
    signed_in = await people.sign_in.with_plex("token", AT_HOME, context(SYSTEM))
    caller = await people.caller(signed_in.access.token)
    with pytest.raises(NoPassword):
        await people.accounts.change_password(caller, PASSWORD, "another", context(SYSTEM))


async def test_a_new_password_ends_every_session_but_the_one_that_set_it(people: People) -> None:
    ann = await people.person(ANN)
    elsewhere = await people.again(ann.id, ANN)
    caller = await people.caller(ann.token)
    await people.accounts.change_password(caller, PASSWORD, "another one", context(SYSTEM))
    assert await people.is_in(ann)
    assert not await people.is_in(elsewhere)
    assert isinstance(people.store.events[-1].event, PasswordChanged)
    with pytest.raises(WrongCredentials):
        await people.sign_in.with_password(ANN, PASSWORD, AT_HOME, context(SYSTEM))
    await people.sign_in.with_password(ANN, "another one", AT_HOME, context(SYSTEM))


async def test_who_is_forgotten_cannot_be_found_and_their_address_is_free(people: People) -> None:
    ann = await people.person(ANN)
    await people.accounts.forget(ann.id, context(SYSTEM))
    assert not await people.is_in(ann)
    with pytest.raises(UnknownAccount):
        await people.accounts.profile(ann.id)
    with pytest.raises(WrongCredentials):
        await people.sign_in.with_password(ANN, PASSWORD, AT_HOME, context(SYSTEM))
    assert ann.id in people.personal_data.destroyed
    assert (await people.person(ANN)).id != ann.id


async def test_forgetting_that_was_cut_off_is_finished_by_whoever_goes_on(people: People) -> None:
    ann = await people.person(ANN)
    people.personal_data.failure = ConnectionError()
    with pytest.raises(ConnectionError):
        await people.accounts.forget(ann.id, context(SYSTEM))
    people.personal_data.failure = None
    await people.accounts.finish_forgetting(ann.id, context(SYSTEM))
    assert ann.id in people.personal_data.destroyed
    assert await people.identities.holder(people.identities.of_email(ANN)) is None
    await people.accounts.finish_forgetting(ann.id, context(SYSTEM))
    forgotten = [each for each in people.store.events if isinstance(each.event, AccountForgotten)]
    assert len(forgotten) == 1


async def test_nobody_who_is_not_forgotten_is_finished(people: People) -> None:
    ann = await people.person(ANN)
    await people.accounts.finish_forgetting(ann.id, context(SYSTEM))
    assert (await people.accounts.profile(ann.id)).state is AccountState.ACTIVE


async def test_the_history_is_of_accounts_only(people: People) -> None:
    ann = await people.person(ANN)
    assert len(await people.accounts.history(ann.id)) == 1
    for other in (ann.signed_in.session_id, uuid4()):
        with pytest.raises(UnknownAccount):
            await people.accounts.history(other)
        with pytest.raises(UnknownAccount):
            await people.accounts.suspend(other, context(SYSTEM))
