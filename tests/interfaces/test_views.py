from uuid import UUID

import msgspec
import pytest

from domain.accounts import AccountOpened, Role
from domain.catalog import EVENTS
from domain.kernel import Event, Unreadable
from domain.media_requests import Media, MediaRequested, MediaType
from interfaces.views import public_data, secrets_of


def test_what_is_secret_leaves_in_no_stream() -> None:
    identity = UUID(int=1)
    opened = AccountOpened(Role.USER, identity, email="sealed", password="sealed", name="sealed")
    assert public_data(opened) == {"role": "user", "identity": str(identity)}
    assert public_data(Unreadable("account.closed", "at /srv/x.py")) == {"topic": "account.closed"}


def test_the_rest_leaves_by_its_public_names() -> None:
    requested = MediaRequested(Media(MediaType.MOVIE, 603), "The Matrix", UUID(int=1))
    data = public_data(requested)
    assert data["requestedBy"] == str(UUID(int=1))
    assert data["media"] == {"mediaType": "movie", "tmdbId": 603, "is4k": False}
    assert "type" not in data


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_no_event_has_a_field_that_sounds_secret_and_is_not_marked(event: type[Event]) -> None:
    telling = ("hash", "secret", "token", "password", "key", "email", "name", "client")
    suspects = {
        field.encode_name
        for field in msgspec.structs.fields(event)
        if any(word in field.name for word in telling)
    }
    assert suspects <= secrets_of(event)
