from uuid import UUID

from domain.identities import (
    ClaimIdentity,
    Identity,
    IdentityClaimed,
    IdentityReleased,
    ReleaseIdentity,
    identities,
)
from tests.given import given

ANN = UUID(int=1)
BOB = UUID(int=2)


def test_what_is_free_can_be_claimed() -> None:
    given(identities).when(ClaimIdentity(ANN)).then(IdentityClaimed(ANN))


def test_what_is_taken_stays_with_its_holder() -> None:
    given(identities, IdentityClaimed(ANN)).when(ClaimIdentity(BOB)).then_nothing()
    given(identities, IdentityClaimed(ANN)).when(ClaimIdentity(ANN)).then_nothing()
    assert identities.fold([IdentityClaimed(ANN)]) == Identity(ANN)


def test_its_holder_gives_it_back() -> None:
    given(identities, IdentityClaimed(ANN)).when(ReleaseIdentity(ANN)).then(IdentityReleased(ANN))


def test_nobody_else_gives_it_back() -> None:
    given(identities, IdentityClaimed(ANN)).when(ReleaseIdentity(BOB)).then_nothing()
    given(identities).when(ReleaseIdentity(ANN)).then_nothing()


def test_what_was_given_back_is_free_again() -> None:
    history = (IdentityClaimed(ANN), IdentityReleased(ANN))
    assert identities.fold(history) == Identity(None)
    given(identities, *history).when(ReleaseIdentity(ANN)).then_nothing()
    given(identities, *history).when(ClaimIdentity(BOB)).then(IdentityClaimed(BOB))
