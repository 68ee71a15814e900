from uuid import UUID

import pytest

from domain.installation import (
    CloseSetup,
    InstallationEvent,
    OfferSetup,
    SetupClosed,
    SetupOffered,
    SetupUsed,
    UseSetup,
    WrongSetupToken,
    installation,
)
from tests.given import given

ANN = UUID(int=1)
BOB = UUID(int=2)

offered = SetupOffered("digest")
used = SetupUsed(ANN)
closed = SetupClosed()


def test_a_set_up_is_offered_until_there_is_an_admin() -> None:
    given(installation).when(OfferSetup("digest")).then(offered)
    given(installation, offered).when(OfferSetup("another")).then(SetupOffered("another"))
    given(installation, closed).when(OfferSetup("digest")).then_nothing()


def test_the_token_makes_one_account() -> None:
    given(installation, offered).when(UseSetup("digest", ANN)).then(used)


def test_whoever_was_cut_off_goes_on_with_the_account_that_was_begun() -> None:
    given(installation, offered, used).when(UseSetup("digest", BOB)).then_nothing()
    state = installation.fold([offered, used])
    assert state is not None
    assert state.account_id == ANN


@pytest.mark.parametrize(
    ("history", "token"),
    [
        ((), "digest"),
        ((offered,), "another"),
        ((offered, SetupOffered("another")), "digest"),
        ((offered, used, closed), "digest"),
        ((offered, closed), "digest"),
    ],
    ids=["never offered", "wrong", "replaced", "used", "no longer needed"],
)
def test_any_other_token_is_refused(history: tuple[InstallationEvent, ...], token: str) -> None:
    given(installation, *history).when(UseSetup(token, ANN)).then_refused(WrongSetupToken)


@pytest.mark.parametrize("history", [(), (offered,), (offered, used)])
def test_the_first_admin_closes_the_set_up(history: tuple[InstallationEvent, ...]) -> None:
    given(installation, *history).when(CloseSetup()).then(closed)
    given(installation, *history, closed).when(CloseSetup()).then_nothing()
