"""Every event there is, by its tag; built from the deciders, so none can be forgotten."""

from typing import cast

import msgspec

from domain.accounts import accounts
from domain.kernel import AnyDecider, Event
from domain.media_requests import media_requests

DECIDERS: tuple[AnyDecider, ...] = (accounts, media_requests)


def tag_of(event: type[Event]) -> str:
    """The stable name of an event class, such as ``media_request.requested``."""
    tag = cast("msgspec.inspect.StructType", msgspec.inspect.type_info(event)).tag
    if not isinstance(tag, str):
        raise TypeError(f'{event} needs tag="<stream>.<past_verb>".')
    return tag


def _events(deciders: tuple[AnyDecider, ...]) -> dict[str, type[Event]]:
    catalog: dict[str, type[Event]] = {}
    for decider in deciders:
        for event in decider.events:
            tag = tag_of(event)
            if tag in catalog or not tag.startswith(f"{decider.name}."):
                raise TypeError(f"The tag {tag!r} of {event} is taken, or of another stream.")
            catalog[tag] = event
    return catalog


EVENTS: dict[str, type[Event]] = _events(DECIDERS)
