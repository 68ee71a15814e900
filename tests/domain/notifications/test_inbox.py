from uuid import UUID, uuid4

from domain.notifications.inbox import (
    InboxRead,
    NotificationRead,
    NotificationReceived,
    Read,
    ReadInbox,
    Subject,
    Tell,
    UnknownNotification,
    inboxes,
    notification_id,
    notifications,
)
from domain.notifications.kinds import NoticeKind
from tests.events import NOON
from tests.given import given

ANN, BOB, MAIL = UUID(int=1), UUID(int=2), UUID(int=3)
MATRIX = Subject(UUID(int=603), "The Matrix", NOON, 1999)


def received(*, in_inbox: bool = True) -> NotificationReceived:
    return NotificationReceived(ANN, NoticeKind.REQUEST_AVAILABLE, MATRIX, in_inbox, (MAIL,))


def test_a_person_is_told_with_all_that_is_known() -> None:
    given(notifications).when(
        Tell(ANN, NoticeKind.REQUEST_AVAILABLE, MATRIX, in_inbox=True, channels=(MAIL,))
    ).then(received())


def test_nobody_is_told_twice_whatever_they_have_chosen_meanwhile() -> None:
    again = Tell(ANN, NoticeKind.REQUEST_AVAILABLE, MATRIX, in_inbox=False)
    given(notifications, received()).when(again).then_nothing()


def test_it_is_read_once() -> None:
    given(notifications, received()).when(Read(ANN)).then(NotificationRead())
    given(notifications, received(), NotificationRead()).when(Read(ANN)).then_nothing()


def test_only_who_has_it_in_the_inbox_can_read_it() -> None:
    given(notifications, received()).when(Read(BOB)).then_refused(UnknownNotification)
    given(notifications, received(in_inbox=False)).when(Read(ANN)).then_refused(UnknownNotification)
    given(notifications).when(Read(ANN)).then_refused(UnknownNotification, "no such notification")


def test_who_has_read_up_to_a_place_does_not_go_back() -> None:
    given(inboxes).when(ReadInbox(0)).then(InboxRead(0))
    given(inboxes, InboxRead(7)).when(ReadInbox(8)).then(InboxRead(8))
    given(inboxes, InboxRead(7)).when(ReadInbox(7)).then_nothing()
    given(inboxes, InboxRead(7)).when(ReadInbox(6)).then_nothing()


def test_a_notification_is_named_by_whom_it_is_for_and_what_it_tells() -> None:
    request = uuid4()
    names = {
        notification_id(account, of, version)
        for account in (ANN, BOB)
        for of in (request, uuid4())
        for version in (1, 2)
    }
    assert len(names) == 8
    assert notification_id(ANN, request, 1) in names
