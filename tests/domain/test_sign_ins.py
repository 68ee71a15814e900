from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.sign_ins import INTERVAL, RecordFailedSignIn, SignInFailed, sign_ins, sign_ins_id
from tests.given import given

ANN = UUID(int=1)
BOB = UUID(int=2)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)

failed = SignInFailed(ANN, NOON, "sealed client")


def failure(at: datetime = NOON) -> RecordFailedSignIn:
    return RecordFailedSignIn(ANN, at, "sealed client")


def test_the_person_is_told() -> None:
    given(sign_ins).when(failure()).then(failed)


def test_the_person_is_told_once_a_minute() -> None:
    given(sign_ins, failed).when(failure(NOON + INTERVAL - TICK)).then_nothing()
    given(sign_ins, failed).when(failure(NOON + INTERVAL)).then(
        SignInFailed(ANN, NOON + INTERVAL, "sealed client")
    )


def test_the_minute_begins_with_what_was_told_last() -> None:
    again = SignInFailed(ANN, NOON + INTERVAL)
    given(sign_ins, failed, again).when(failure(NOON + 2 * INTERVAL - TICK)).then_nothing()


def test_each_account_has_a_stream_a_day() -> None:
    midnight = NOON + timedelta(hours=12)
    assert sign_ins_id(ANN, NOON) == sign_ins_id(ANN, midnight - TICK)
    others = {sign_ins_id(ANN, NOON), sign_ins_id(ANN, midnight), sign_ins_id(BOB, NOON)}
    assert len(others) == 3
