from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from application.effects import Deliver, Job
from application.ports import Appended, NewEvents, StoreUnavailable
from application.ports.notifiers import (
    Apprise,
    DeliveryFailed,
    Discord,
    Ntfy,
    Undeliverable,
)
from domain.accounts import Role
from domain.alerts import AlertRaised, AlertResolved, alert_id
from domain.kernel import Event
from domain.media_requests import CancelRequest
from domain.notifications.deliveries import (
    PATIENCE,
    Delivered,
    DeliveryAttemptFailed,
    DeliveryGivenUp,
    deliveries,
    delivery_id,
)
from domain.notifications.settings import UnknownChannel, settings_id
from tests.application.notifications.conftest import CHAT, Town
from tests.fakes import new_id
from tests.people import context

BOSS = UUID(int=9)


async def told(town: Town, person: UUID) -> None:
    """Something happens that the person hears of."""
    await town.ask(person)
    await town.do(CancelRequest(BOSS, "No room."))
    await town.settle()


def attempts(town: Town) -> list[Event]:
    return [each.event for each in town.store.events if deliveries.owns(each.event)]


async def test_news_goes_out_by_the_channel(town: Town) -> None:
    ann = await town.resident("ann")
    channel = await town.chat(ann)
    await told(town, ann)
    ((address, notice),) = town.notifier.sent
    (received,) = [each for each in town.store.events if each.event in town.told(ann)]
    assert address == CHAT
    assert notice.id == delivery_id(received.stream_id, channel)
    assert notice.at == received.event.about.at  # type: ignore[attr-defined]
    assert (notice.kind, notice.title, notice.body) == (
        "requestCancelled",
        "“The Matrix” (1999) was cancelled",
        "No room.",
    )
    assert [type(event) for event in attempts(town)] == [Delivered]


async def test_a_channel_reaches_as_far_as_the_role_of_its_owner(town: Town) -> None:
    ann = await town.resident("ann", Role.ADMIN)
    await town.chat(ann, Role.ADMIN)
    await told(town, ann)
    assert [len(town.notifiers[role].sent) for role in (Role.USER, Role.ADMIN)] == [0, 1]
    await town.accounts.grant(ann, Role.USER, context("system:test"))
    await told(town, ann)
    assert [len(town.notifiers[role].sent) for role in (Role.USER, Role.ADMIN)] == [1, 1]


async def test_what_fails_is_tried_again_when_it_is_time(town: Town) -> None:
    ann = await town.resident("ann")
    await town.chat(ann)
    town.notifier.failure = DeliveryFailed("Busy.", timedelta(minutes=7))
    town.times = 3
    await told(town, ann)
    (failed,) = attempts(town)
    assert isinstance(failed, DeliveryAttemptFailed)
    assert (failed.attempt, failed.reason) == (1, "Busy.")
    assert failed.retry_at - failed.failed_at == timedelta(minutes=7)
    town.notifier.failure = None
    await town.settle()
    assert town.notifier.sent == []
    town.clock.ahead += timedelta(minutes=7)
    await town.settle()
    assert len(town.notifier.sent) == 1
    assert isinstance(attempts(town)[-1], Delivered)
    assert town.waiting == []


async def test_a_channel_that_refuses_is_switched_off(town: Town) -> None:
    ann = await town.resident("ann")
    channel_id = await town.chat(ann)
    town.notifier.failure = Undeliverable("The answer was 404 Not Found.")
    town.times = 2
    await told(town, ann)
    (given_up,) = attempts(town)
    assert isinstance(given_up, DeliveryGivenUp)
    channel = (await town.choices.of(ann)).channel(channel_id)
    assert (channel.on, channel.off_reason) == (False, "The answer was 404 Not Found.")
    assert not any(isinstance(each.event, AlertRaised) for each in town.store.events)


async def test_a_channel_that_fails_for_three_days_is_switched_off(town: Town) -> None:
    ann = await town.resident("ann")
    channel_id = await town.chat(ann)
    town.notifier.failure = DeliveryFailed("Busy.")
    await told(town, ann)
    started = town.clock.ahead
    while town.waiting:
        assert (await town.choices.of(ann)).channel(channel_id).on
        at, _ = town.waiting[0]
        town.clock.ahead += at - town.clock()
        await town.settle()
    assert PATIENCE <= town.clock.ahead - started <= PATIENCE + timedelta(hours=1, minutes=1)
    assert not (await town.choices.of(ann)).channel(channel_id).on
    last = attempts(town)[-1]
    assert isinstance(last, DeliveryGivenUp)
    assert last.by_channel


async def test_a_worker_that_died_before_it_switched_the_channel_off_does_so_later(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await town.resident("ann")
    channel_id = await town.chat(ann)
    town.notifier.failure = Undeliverable("404")
    append = town.store.append

    async def die(new: NewEvents) -> Appended:
        if new.stream_id == settings_id(ann):
            raise StoreUnavailable("It died.")
        return await append(new)

    with monkeypatch.context() as dying:
        dying.setattr(town.store, "append", die)
        with pytest.raises(StoreUnavailable):
            await told(town, ann)
    (received,) = [each for each in town.store.events if each.event in town.told(ann)]
    effect = Deliver(received.stream_id, channel_id)
    await town.delivering.deliver(effect, Job(new_id(), effect, "test", new_id()))
    assert not (await town.choices.of(ann)).channel(channel_id).on
    assert len(attempts(town)) == 1


async def test_an_admin_s_channel_that_is_given_up_is_an_alert_until_it_works(town: Town) -> None:
    ann = await town.resident("ann", Role.ADMIN)
    channel_id = await town.chat(ann, Role.ADMIN)
    town.notifiers[Role.ADMIN].failure = Undeliverable("404")
    town.times = 2
    await told(town, ann)
    alert = alert_id("channel-off", str(channel_id))
    assert [type(each.event) for each in await town.alerts.history(alert)] == [AlertRaised]
    await town.choices.change_channel(ann, channel_id, context("system:test"), name="Chat")
    assert [type(each.event) for each in await town.alerts.history(alert)] == [AlertRaised]
    await town.choices.change_channel(ann, channel_id, context("system:test"), on=True)
    assert [type(each.event) for each in await town.alerts.history(alert)] == [
        AlertRaised,
        AlertResolved,
    ]


async def test_an_alert_is_over_with_its_channel(town: Town) -> None:
    ann = await town.resident("ann", Role.ADMIN)
    channel_id = await town.chat(ann, Role.ADMIN)
    town.notifiers[Role.ADMIN].failure = Undeliverable("404")
    await told(town, ann)
    await town.choices.remove_channel(ann, channel_id, context("system:test"))
    history = await town.alerts.history(alert_id("channel-off", str(channel_id)))
    assert isinstance(history[-1].event, AlertResolved)


async def test_a_new_address_does_not_pay_for_the_old_one(town: Town) -> None:
    ann = await town.resident("ann")
    channel_id = await town.chat(ann)
    new = Discord("https://discord.com/api/webhooks/2/secret")

    town.notifier.failure = Undeliverable("404")
    town.notifier.meanwhile = lambda: town.choices.change_channel(
        ann, channel_id, context("system:test"), address=new
    )
    await told(town, ann)
    assert isinstance(attempts(town)[-1], DeliveryGivenUp)
    assert (await town.choices.of(ann)).channel(channel_id).on


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("forget", "The account was forgotten."),
        ("suspend", "The account is suspended."),
        ("remove", "The channel was removed."),
        ("switch off", "The channel is off."),
    ],
)
async def test_what_waits_does_not_go_out_where_it_shall_not_any_more(
    town: Town, change: str, reason: str
) -> None:
    ann = await town.resident("ann")
    channel_id = await town.chat(ann)
    town.notifier.failure = DeliveryFailed("Busy.")
    await told(town, ann)
    town.notifier.failure = None
    about = context("system:test")
    match change:
        case "remove":
            await town.choices.remove_channel(ann, channel_id, about)
        case "switch off":
            await town.choices.change_channel(ann, channel_id, about, on=False)
        case _:
            await getattr(town.accounts, change)(ann, about)
    town.clock.ahead += timedelta(hours=1)
    await town.settle()
    assert town.notifier.sent == []
    last = attempts(town)[-1]
    assert isinstance(last, DeliveryGivenUp)
    assert (last.reason, last.by_channel) == (reason, False)


async def test_who_was_forgotten_has_no_address_left(town: Town) -> None:
    ann = await town.resident("ann")
    channel_id = await town.chat(ann)
    await town.personal_data.destroy(ann)
    await told(town, ann)
    assert town.notifier.sent == []
    assert (await town.choices.of(ann)).channel(channel_id).off_reason
    sealed = (await town.choices.of(ann)).channel(channel_id)
    for field, text in (("channel_name", sealed.name), ("channel_address", sealed.address)):
        assert await town.personal_data.reveal(ann, field, text) is None


async def test_apprise_ends_with_the_role(town: Town) -> None:
    ann = await town.resident("ann", Role.ADMIN)
    about = context("system:test")
    await town.choices.add_channel(ann, Role.ADMIN, "All", Apprise("json://there"), about)
    await town.accounts.grant(ann, Role.USER, context("system:test"))
    await told(town, ann)
    assert town.notifier.sent == []
    last = attempts(town)[-1]
    assert isinstance(last, DeliveryGivenUp)
    assert last.reason == "Only admins may use Apprise."


async def test_a_delivery_of_nothing_is_no_delivery(town: Town) -> None:
    effect = Deliver(uuid4(), uuid4())
    await town.delivering.deliver(effect, Job(new_id(), effect, "test", new_id()))
    assert town.store.events == []


# Trying out


async def test_a_channel_is_tried_out_at_once_even_if_it_is_off(town: Town) -> None:
    ann = await town.resident("ann")
    channel_id = await town.chat(ann)
    await town.choices.change_channel(ann, channel_id, context("system:test"), on=False)
    assert await town.delivering.test(ann, channel_id) is None
    ((address, notice),) = town.notifier.sent
    assert (address, notice.kind) == (CHAT, "test")


@pytest.mark.parametrize("failure", [Undeliverable("404"), DeliveryFailed("404")])
async def test_a_trial_that_fails_says_why_and_changes_nothing(
    town: Town, failure: Exception
) -> None:
    ann = await town.resident("ann")
    channel_id = await town.chat(ann)
    town.notifier.failure = failure
    head = town.store.head
    assert await town.delivering.test(ann, channel_id) == "404"
    assert town.store.head == head


async def test_only_ones_own_channels_can_be_tried_out(town: Town) -> None:
    ann, bob = await town.resident("ann"), await town.resident("bob")
    channel_id = await town.chat(ann)
    for person in (bob, uuid4()):
        with pytest.raises(UnknownChannel):
            await town.delivering.test(person, channel_id)


async def test_a_former_admin_cannot_try_apprise_out(town: Town) -> None:
    ann = await town.resident("ann", Role.ADMIN)
    about = context("system:test")
    channel_id, _ = await town.choices.add_channel(
        ann, Role.ADMIN, "All", Apprise("json://there"), about
    )
    await town.accounts.grant(ann, Role.USER, context("system:test"))
    assert await town.delivering.test(ann, channel_id) == "Only admins may use Apprise."
    assert town.notifier.sent == []


# Choosing


async def test_asking_again_for_a_channel_adds_one(town: Town) -> None:
    ann = await town.resident("ann")
    about = context("system:test")
    asked = [
        await town.choices.add_channel(ann, Role.USER, "Phone", Ntfy("me"), about) for _ in "12"
    ]
    assert asked[0][0] == asked[1][0]
    assert [channel.id for channel in (await town.choices.of(ann)).channels] == [asked[0][0]]


async def test_no_event_holds_a_name_or_an_address(town: Town) -> None:
    ann = await town.resident("ann")
    channel_id = await town.chat(ann)
    about = context("system:test")
    await town.choices.change_channel(ann, channel_id, about, name="The phone of Ann", address=CHAT)
    await told(town, ann)
    stored = repr(town.store.events)
    for secret in ("My chat", "The phone of Ann", "discord.com"):
        assert secret not in stored
