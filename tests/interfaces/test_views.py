from uuid import UUID

import msgspec
import pytest

from domain.accounts import AccountOpened, Role
from domain.catalog import EVENTS
from domain.kernel import Event, Unreadable
from domain.media_requests import Media, MediaRequested, MediaType
from interfaces.views import SECRETS, public_data


def test_what_is_secret_leaves_in_no_stream() -> None:
    opened = AccountOpened("alice@example.org", "$argon2id$…", Role.USER)
    assert public_data(opened) == {"email": "alice@example.org", "role": "user"}
    assert public_data(Unreadable("account.closed", "at /srv/x.py")) == {"topic": "account.closed"}


def test_the_rest_leaves_by_its_public_names() -> None:
    requested = MediaRequested(Media(MediaType.MOVIE, 603), "The Matrix", UUID(int=1))
    data = public_data(requested)
    assert data["requestedBy"] == str(UUID(int=1))
    assert data["media"] == {"mediaType": "movie", "tmdbId": 603, "is4k": False}
    assert "type" not in data


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_no_event_has_a_field_that_sounds_secret_and_is_not_listed(event: type[Event]) -> None:
    telling = ("hash", "secret", "token", "password", "key")
    suspects = {
        field.encode_name
        for field in msgspec.structs.fields(event)
        if any(word in field.name for word in telling)
    }
    assert suspects <= SECRETS.get(event, frozenset())
