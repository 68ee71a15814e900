from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given as for_all
from hypothesis import strategies as st

from domain.alerts import (
    REPEAT_AFTER,
    AcknowledgeAlert,
    AlertAcknowledged,
    AlertCommand,
    AlertEvent,
    AlertRaised,
    AlertRepeated,
    AlertResolved,
    RaiseAlert,
    ResolveAlert,
    UnknownAlert,
    alert_id,
    alerts,
)
from tests.given import given

ANN = UUID(int=1)
BOB = UUID(int=2)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
NEW_YEAR = datetime(2026, 1, 1)  # noqa: DTZ001 - hypothesis draws such ones


def raise_at(at: datetime, times: int = 1) -> RaiseAlert:
    return RaiseAlert("error", "disk", "The disk is full", "No space left.", at, times)


def raised_at(at: datetime, times: int = 1) -> AlertRaised:
    return AlertRaised("error", "disk", "The disk is full", "No space left.", at, times)


def test_an_alert_is_raised_with_all_that_is_known() -> None:
    given(alerts).when(raise_at(NOON, 3)).then(raised_at(NOON, 3))


def test_within_a_minute_it_is_not_told_again() -> None:
    given(alerts, raised_at(NOON)).when(raise_at(NOON + REPEAT_AFTER - INSTANT)).then_nothing()


def test_after_a_minute_it_is_told_with_how_often_it_came() -> None:
    later = NOON + REPEAT_AFTER
    given(alerts, raised_at(NOON)).when(raise_at(later, 500)).then(AlertRepeated(500, later))


def test_the_minute_begins_anew_with_each_repetition() -> None:
    later = NOON + REPEAT_AFTER
    repeated = AlertRepeated(500, later)
    given(alerts, raised_at(NOON), repeated).when(raise_at(later + INSTANT)).then_nothing()


def test_it_can_be_acknowledged_once() -> None:
    given(alerts, raised_at(NOON)).when(AcknowledgeAlert(ANN)).then(AlertAcknowledged(ANN))
    given(alerts, raised_at(NOON), AlertAcknowledged(ANN)).when(
        AcknowledgeAlert(BOB)
    ).then_nothing()


def test_what_was_seen_may_still_go_on() -> None:
    later = NOON + REPEAT_AFTER
    given(alerts, raised_at(NOON), AlertAcknowledged(ANN)).when(raise_at(later)).then(
        AlertRepeated(1, later)
    )


def test_it_is_over_once() -> None:
    given(alerts, raised_at(NOON)).when(ResolveAlert()).then(AlertResolved())
    given(alerts, raised_at(NOON), AlertResolved()).when(ResolveAlert()).then_nothing()


def test_what_is_over_needs_nobody() -> None:
    given(alerts, raised_at(NOON), AlertResolved()).when(AcknowledgeAlert(ANN)).then_nothing()


def test_what_is_over_can_be_raised_anew_at_once_and_is_unseen_then() -> None:
    over = (raised_at(NOON), AlertAcknowledged(ANN), AlertResolved())
    again = raised_at(NOON + INSTANT)
    given(alerts, *over).when(raise_at(NOON + INSTANT)).then(again)
    given(alerts, *over, again).when(AcknowledgeAlert(BOB)).then(AlertAcknowledged(BOB))


def test_what_never_was_can_neither_be_seen_nor_be_over() -> None:
    given(alerts).when(AcknowledgeAlert(ANN)).then_refused(UnknownAlert)
    given(alerts).when(ResolveAlert()).then_refused(UnknownAlert)


def test_every_subject_of_a_kind_has_its_own_alert() -> None:
    assert alert_id("error", "disk") == alert_id("error", "disk")
    assert len({alert_id("error", "disk"), alert_id("error", "x"), alert_id("redis", "disk")}) == 3


@for_all(
    st.lists(
        st.one_of(
            st.builds(raise_at, st.datetimes(NEW_YEAR, NEW_YEAR + timedelta(hours=1))),
            st.just(AcknowledgeAlert(ANN)),
            st.just(ResolveAlert()),
        )
    )
)
def test_whatever_comes_an_alert_that_goes_on_is_told_at_most_once_a_minute(
    commands: list[AlertCommand],
) -> None:
    told: list[AlertEvent] = [raised_at(NEW_YEAR)]
    state = alerts.fold(told)
    for command in commands:
        events = alerts.decide(command, state)
        state = alerts.fold(events, state)
        told += events
    last = NEW_YEAR
    for event in told[1:]:
        match event:
            case AlertRaised(raised_at=at):
                last = at
            case AlertRepeated(repeated_at=at):
                assert at - last >= REPEAT_AFTER
                last = at
            case _:
                pass
