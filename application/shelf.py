"""What Overseerr calls available is told to people once they can watch it.

Overseerr is known to say so before Plex has found the files.
"""

from application.ports import OnShelf, Shelf
from domain.media_requests import MediaRequest, MediaType, UpstreamStatus

SPECIALS = 0


def wanted_seasons(request: MediaRequest) -> tuple[int, ...] | None:
    """The seasons that are wanted; of a whole series all that it had, but for the specials.

    ``None`` for a film, and where it is not known which there were.
    """
    if request.seasons is not None:
        return request.seasons
    return tuple(season for season in request.all_seasons if season != SPECIALS) or None


async def confirmed(
    shelf: Shelf | None, request: MediaRequest, status: UpstreamStatus
) -> UpstreamStatus:
    """``status``, but no better than what the shelf shows; without a shelf it is believed.

    Raises BadPlexToken or PlexUnavailable.
    """
    if shelf is None or status not in _ON_SHELF:
        return status
    found = await shelf.find(request.media, request.tvdb_id)
    if found is None:
        return UpstreamStatus.UNDER_WAY
    if status is UpstreamStatus.AVAILABLE and _lacks(found, request):
        return UpstreamStatus.PARTLY_AVAILABLE
    return status


_ON_SHELF = frozenset({UpstreamStatus.AVAILABLE, UpstreamStatus.PARTLY_AVAILABLE})


def _lacks(found: OnShelf, request: MediaRequest) -> bool:
    """Whether a wanted season is not there at all.

    How many episodes a season has by now, Overseerr knows better than we.
    """
    if request.media.media_type is MediaType.MOVIE:
        return False
    return not set(wanted_seasons(request) or ()) <= found.seasons.keys()
