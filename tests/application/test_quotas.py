import asyncio
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from application.effects import Job, ReturnQuotas, SettleQuota
from application.execute import Context
from application.media_requests import MediaRequests, RequestRules, Wish
from application.ports import NewEvents, Title, VersionConflict
from application.quotas import SETTLING_TIME, PersonsQuotas
from application.reactors.return_quotas import return_quotas
from domain import media_requests as m
from domain.accounts import Role
from domain.media_requests import AlreadyRequested, Media, MediaType, media_request_id
from domain.quotas import Quota, QuotaReturned, QuotaUsed, QuotaUsedUp
from tests.fakes import InMemoryCatalogue, new_id
from tests.people import People

ANN, BOB, BOSS = (UUID(int=number) for number in (1, 2, 9))
DARK = Media(MediaType.TV, 70523)
FILMS = [Media(MediaType.MOVIE, number) for number in range(1, 30)]
TWO_A_WEEK = Quota(2, 7)


class House(NamedTuple):
    people: People
    quotas: PersonsQuotas
    requests: MediaRequests

    async def ask(
        self,
        media: Media,
        *seasons: int,
        by: UUID = ANN,
        role: Role = Role.USER,
        command_id: UUID | None = None,
    ) -> UUID:
        wish = Wish(media, seasons or None)
        context = Context(f"account:{by}", "click", command_id or new_id())
        request_id, _ = await self.requests.request_media(wish, by, context, role=role)
        return request_id

    async def change(self, request_id: UUID, command: m.PersonsCommand) -> None:
        await self.requests.change(request_id, command, Context("test", "click", new_id()))

    async def left(self, media_type: MediaType = MediaType.MOVIE, of: UUID = ANN) -> int | None:
        standings = await self.quotas.of(of, Role.USER)
        return {each.media_type: each.remaining for each in standings}[media_type]

    def events(self, kind: type[Any]) -> list[Any]:
        return [each.event for each in self.people.store.events if isinstance(each.event, kind)]

    async def react(self) -> None:
        """Let everything follow from what has happened, all that waits included."""
        for recorded in tuple(self.people.store.events):
            for due in return_quotas.react(recorded):
                job = Job(new_id(), due.effect, "click", recorded.metadata.event_id)
                match due.effect:
                    case SettleQuota():
                        await self.quotas.settle(due.effect, job)
                    case ReturnQuotas():
                        await self.quotas.return_refused(due.effect, job)
                    case _:
                        raise TypeError(due.effect)


def house_of(people: People, *, auto_approve: bool = True) -> House:
    titles = {film: Title(f"Film {film.tmdb_id}") for film in FILMS}
    catalogue = InMemoryCatalogue({**titles, DARK: Title("Dark", seasons=(1, 2, 3))})
    rules = dict.fromkeys(MediaType, TWO_A_WEEK)
    quotas = PersonsQuotas(people.executor, people.store, rules, people.clock)
    return House(
        people,
        quotas,
        MediaRequests(people.executor, people.store, catalogue, quotas, RequestRules(auto_approve)),
    )


@pytest.fixture
def house(people: People) -> House:
    return house_of(people)


async def test_who_has_used_their_quota_is_refused_until_a_place_is_free(house: House) -> None:
    first, second, third = FILMS[:3]
    await house.ask(first)
    house.people.clock.ahead += timedelta(days=1)
    await house.ask(second)
    with pytest.raises(QuotaUsedUp) as refusal:
        await house.ask(third)
    standing = refusal.value.standing
    assert [use.request_id for use in standing.uses] == [
        media_request_id(first),
        media_request_id(second),
    ]
    assert standing.free_at == standing.uses[0].at + timedelta(days=7)
    assert len(house.events(m.MediaRequested)) == 2
    house.people.clock.ahead += timedelta(days=6)
    await house.ask(third)


async def test_of_many_at_once_no_more_get_through_than_there_are_places(house: House) -> None:
    results = await asyncio.gather(
        *(house.ask(film) for film in FILMS[:12]), return_exceptions=True
    )
    assert sum(isinstance(result, UUID) for result in results) == 2
    assert sum(isinstance(result, QuotaUsedUp) for result in results) == 10
    assert len(house.events(m.MediaRequested)) == 2


async def test_admins_and_others_are_not_counted(house: House) -> None:
    for film in FILMS[:4]:
        await house.ask(film, by=BOSS, role=Role.ADMIN)
    await house.ask(FILMS[4], by=BOB)
    assert await house.left(of=BOB) == 1
    assert await house.left() == 2
    assert {use.account_id for use in house.events(QuotaUsed)} == {BOB}


async def test_what_is_refused_anyway_takes_no_place(house: House) -> None:
    await house.ask(FILMS[0], by=BOB)
    for _ in range(3):
        with pytest.raises(AlreadyRequested):
            await house.ask(FILMS[0])
    assert await house.left() == 2
    assert len(house.events(QuotaUsed)) == 1


async def test_who_loses_the_race_for_a_title_gets_the_place_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, film = house.people.store.append, FILMS[0]

    async def late(new: NewEvents) -> Any:
        if new.stream_id == media_request_id(film):
            monkeypatch.setattr(house.people.store, "append", append)
            await house.ask(film, by=BOB)
            raise VersionConflict
        return await append(new)

    monkeypatch.setattr(house.people.store, "append", late)
    with pytest.raises(AlreadyRequested):
        await house.ask(film)
    assert (await house.left(), await house.left(of=BOB)) == (2, 1)


async def test_a_repeated_command_takes_one_place_and_is_answered_again(house: House) -> None:
    command_id = new_id()
    for _ in range(3):
        await house.ask(FILMS[0], command_id=command_id)
    assert await house.left() == 1
    await house.ask(FILMS[1])
    await house.ask(FILMS[0], command_id=command_id)  # with nothing left, too


async def test_a_place_that_a_dying_process_has_left_behind_is_given_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = house.people.store.append

    async def dying(new: NewEvents) -> Any:
        if new.stream_id == media_request_id(FILMS[0]):
            raise asyncio.CancelledError
        return await append(new)

    monkeypatch.setattr(house.people.store, "append", dying)
    with pytest.raises(asyncio.CancelledError):
        await house.ask(FILMS[0])
    monkeypatch.undo()
    await house.ask(FILMS[1])
    assert await house.left() == 0
    await house.react()
    assert await house.left() == 1
    (used, _) = house.events(QuotaUsed)
    assert house.events(QuotaReturned) == [QuotaReturned(used.use.id)]


async def test_whether_a_place_was_left_behind_is_looked_at_later(house: House) -> None:
    await house.ask(FILMS[0])
    (used,) = [each for each in house.people.store.events if isinstance(each.event, QuotaUsed)]
    (due,) = return_quotas.react(used)
    assert due.at == used.at + SETTLING_TIME


@pytest.mark.parametrize(
    ("events", "command", "left"),
    [
        ([], m.DeclineRequest(BOSS, "No."), 2),
        ([], m.CancelRequest(BOSS), 2),
        ([], m.WithdrawRequest(ANN), 2),
        ([m.RecordForwarding(7)], m.DeclineRequest(BOSS, "No."), 2),
        ([m.RecordForwarding(7)], m.WithdrawRequest(ANN), 1),
        ([], m.FulfilRequest(BOSS), 1),
    ],
)
async def test_what_is_not_fulfilled_is_given_back_unless_its_owner_ends_it_late(
    house: House, events: list[Any], command: m.PersonsCommand, left: int
) -> None:
    request_id = await house.ask(FILMS[0])
    for event in events:
        await house.change(request_id, event)
    await house.change(request_id, command)
    await house.react()
    await house.react()
    assert await house.left() == left


async def test_more_of_a_series_counts_for_who_asks_for_it(people: People) -> None:
    house = house_of(people, auto_approve=False)
    request_id = await house.ask(DARK, 1)
    await house.change(request_id, m.ApproveRequest(BOSS))
    await house.ask(DARK, 1, 2, by=BOB)
    assert (await house.left(MediaType.TV), await house.left(MediaType.TV, BOB)) == (1, 1)
    await house.change(request_id, m.DeclineRequest(BOSS, "One is enough."))
    await house.react()
    assert (await house.left(MediaType.TV), await house.left(MediaType.TV, BOB)) == (1, 2)


async def test_an_admin_overrides_the_rule_for_a_person(house: House) -> None:
    context = Context(f"account:{BOSS}", "click", new_id())
    await house.quotas.override(ANN, MediaType.MOVIE, None, BOSS, context)
    for film in FILMS[:5]:
        await house.ask(film)
    assert await house.left() is None
    again = Context(f"account:{BOSS}", "click", new_id())
    await house.quotas.override(ANN, MediaType.MOVIE, Quota(1, 7), BOSS, again)
    await house.ask(FILMS[6])
    with pytest.raises(QuotaUsedUp):
        await house.ask(FILMS[7])
