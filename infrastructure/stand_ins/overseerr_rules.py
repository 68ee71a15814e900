"""What the Overseerr stand-in allows: who may request what, and what a request does to a title."""

from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from infrastructure.stand_ins.overseerr_records import (
    FINISHED,
    Media,
    MediaRequest,
    MediaStatus,
    NewRequest,
    NewUser,
    Notification,
    OnShelf,
    Permission,
    RequestStatus,
    SeasonRequest,
    User,
    now,
)
from infrastructure.stand_ins.titles import MediaType, Title, find_title

OWNER_ID = 1
_DECIDED = {
    RequestStatus.APPROVED: Notification.MEDIA_APPROVED,
    RequestStatus.DECLINED: Notification.MEDIA_DECLINED,
}
_MEDIA_TYPES: tuple[MediaType, ...] = ("movie", "tv")


class Refused(Exception):
    """The call ends with this status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Household:
    """People, media and requests. Nothing here awaits, so each change is atomic."""

    def __init__(self, tell: Callable[[Notification, MediaRequest], None]) -> None:
        self.tell = tell
        owner = User(OWNER_ID, "owner@example.com", "Owner", Permission.ADMIN, plex_id=1)
        self.users = {OWNER_ID: owner}
        self.media: dict[tuple[MediaType, int], Media] = {}
        self.requests: dict[int, MediaRequest] = {}
        self._of_media: defaultdict[int, list[MediaRequest]] = defaultdict(list)
        self._last_request_id = 0

    # People

    def user(self, user_id: str, missing: int = 404) -> User:
        """The user with this id; refuses with status ``missing``."""
        user = self.users.get(_number(user_id))
        if user is None:
            raise Refused(missing, "User not found.")
        return user

    def add_user(self, new: NewUser) -> User:
        """A local user, who has no Plex account."""
        if any(user.email == new.email for user in self.users.values()):
            raise Refused(409, "User already exists with submitted email.")
        name = new.username or new.email
        added = User(max(self.users) + 1, new.email, name, new.permissions, user_type=2)
        self.users[added.id] = added
        return added

    def remove_user(self, user: User) -> None:
        """They are gone, and their requests with them."""
        del self.users[user.id]
        for item in [item for item in self.requests.values() if item.requested_by is user]:
            self.remove(item)

    def quota(self, user: User) -> dict[MediaType, dict[str, Any]]:
        """What ``GET /user/{id}/quota`` answers; who manages people has no limits."""
        free = user.may(Permission.MANAGE_USERS)
        days = {"movie": user.movie_quota_days, "tv": user.tv_quota_days}
        limits = {"movie": user.movie_quota_limit, "tv": user.tv_quota_limit}
        return {
            kind: self._quota(user, kind, 0 if free else limits[kind] or 0, days[kind])
            for kind in _MEDIA_TYPES
        }

    def _quota(self, user: User, kind: MediaType, limit: int, days: int | None) -> dict[str, Any]:
        if not limit:
            return {"days": days, "limit": 0, "used": 0, "restricted": False}
        since = now() - timedelta(days=days) if days else None
        recent = [
            item
            for item in self.requests.values()
            if item.requested_by is user
            and item.type == kind
            and item.status is not RequestStatus.DECLINED
            and (since is None or item.created_at > since)
        ]
        used = len(recent) if kind == "movie" else sum(len(item.seasons) for item in recent)
        left = max(0, limit - used)
        return {
            "days": days, "limit": limit, "used": used, "remaining": left, "restricted": left == 0,
        }  # fmt: skip

    # Media

    def media_with_id(self, media_id: str) -> Media:
        """The media with Overseerr's own id."""
        for media in self.media.values():
            if media.id == _number(media_id):
                return media
        raise Refused(404, "Media does not exist.")

    def media_of(self, media_type: MediaType, tmdb_id: int) -> Media:
        """The media of a title, from now on if there was none."""
        return self.media.setdefault(
            (media_type, tmdb_id), Media(len(self.media) + 1, media_type, tmdb_id)
        )

    def put_on_shelf(self, media: Media, status: MediaStatus, shelf: OnShelf) -> None:
        """It is there, or some seasons of it are; the requests for what is there are done."""
        is4k = shelf.is4k
        media.set_status(status, is4k=is4k)
        for season in shelf.seasons:
            media.find_season(season.season_number, is4k=is4k)
        for item in self.requests_for(media):
            there = status is MediaStatus.AVAILABLE and not shelf.seasons
            asked_for = {season.season_number for season in item.seasons}
            if asked_for and media.has_seasons(asked_for, is4k=is4k):
                there = True
            if there and item.is4k == is4k and item.status not in FINISHED:
                item.move_to(RequestStatus.COMPLETED)
                self.tell(Notification.MEDIA_AVAILABLE, item)

    def settle(self, media: Media, *, is4k: bool) -> None:
        """What is not there yet is as far as the furthest request for it."""
        if media.status_in(is4k=is4k) not in {MediaStatus.PENDING, MediaStatus.PROCESSING}:
            return
        statuses = {item.status for item in self.requests_for(media) if item.is4k == is4k}
        settled = MediaStatus.UNKNOWN
        if RequestStatus.APPROVED in statuses:
            settled = MediaStatus.PROCESSING
        elif RequestStatus.PENDING in statuses:
            settled = MediaStatus.PENDING
        media.set_status(settled, is4k=is4k)

    # Requests

    def request(self, request_id: str) -> MediaRequest:
        """The request with this id."""
        item = self.requests.get(_number(request_id))
        if item is None:
            raise Refused(404, "Request not found.")
        return item

    def requests_for(self, media: Media | None) -> list[MediaRequest]:
        """All requests for a title, oldest first."""
        return list(self._of_media[media.id]) if media else []

    def remove(self, item: MediaRequest) -> None:
        """The request is gone, without a trace."""
        del self.requests[item.id]
        self._of_media[item.media.id].remove(item)
        self.settle(item.media, is4k=item.is4k)

    def decide(self, item: MediaRequest, status: RequestStatus, by: User) -> None:
        """Approve it, decline it, or put it back."""
        item.move_to(status, by)
        self.settle(item.media, is4k=item.is4k)
        if kind := _DECIDED.get(status):
            self.tell(kind, item)

    def create(self, asked: NewRequest, user: User) -> MediaRequest:
        """The checks in the original's order, then the request.

        Whether it is approved depends on who asks, not on whom it is for.
        """
        requester = self._requester(asked, user)
        quota = self.quota(requester)[asked.media_type]
        if quota["restricted"]:
            raise _quota_exceeded(asked.media_type)
        title = find_title(asked.media_type, asked.media_id)
        if title is None:
            failed = "Request failed with status code 404"
            raise Refused(500, f"[TMDB] Failed to fetch {asked.media_type} details: {failed}")
        media = self.media.get((title.media_type, title.tmdb_id))
        if media is not None and media.status is MediaStatus.BLOCKLISTED:
            raise Refused(403, "This media is blocklisted.")
        seasons: list[int] = []
        if title.media_type == "movie":
            self._refuse_duplicate(asked, media)
        else:
            seasons = self._seasons_left(asked, title, media)
            if quota["limit"] and len(seasons) > quota["remaining"]:
                raise _quota_exceeded("tv")
        approves = user.may(Permission.MANAGE_REQUESTS, *_rights("AUTO_APPROVE", asked))
        return self._add(asked, title, seasons, requester, user if approves else None)

    def _requester(self, asked: NewRequest, user: User) -> User:
        requester = user
        if asked.user_id:
            if not (user.may(Permission.MANAGE_USERS) and user.may(Permission.MANAGE_REQUESTS)):
                raise Refused(403, "You do not have permission to modify the request user.")
            requester = self.user(str(asked.user_id), missing=500)
        if not requester.may(*_rights("REQUEST", asked)):
            kind = "movie" if asked.media_type == "movie" else "series"
            quality = "4K " if asked.is4k else ""
            raise Refused(403, f"You do not have permission to make {quality}{kind} requests.")
        return requester

    def _same(self, asked: NewRequest, media: Media | None) -> list[MediaRequest]:
        """The original compares with ``undefined`` when ``is4k`` is missing, and finds nothing."""
        return [item for item in self.requests_for(media) if item.is4k is asked.is4k]

    def _refuse_duplicate(self, asked: NewRequest, media: Media | None) -> None:
        same = self._same(asked, media)
        if same and same[0].status not in FINISHED:  # like the original: only the oldest counts
            raise Refused(409, "Request for this media already exists.")

    def _seasons_left(self, asked: NewRequest, title: Title, media: Media | None) -> list[int]:
        if asked.seasons is None:
            raise Refused(500, "Cannot read properties of undefined (reading 'filter')")
        wanted = asked.seasons
        if wanted == "all":
            wanted = [number for number, episodes in title.seasons if episodes > 0]
        taken = {
            season.season_number
            for item in self._same(asked, media)
            if item.status not in FINISHED
            for season in item.seasons
        }
        left = [number for number in wanted if number > 0 and number not in taken]
        if not left:
            raise Refused(202, "No seasons available to request")
        return left

    def _add(
        self,
        asked: NewRequest,
        title: Title,
        seasons: list[int],
        requester: User,
        approver: User | None,
    ) -> MediaRequest:
        media = self.media_of(title.media_type, title.tmdb_id)
        media.tvdb_id = media.tvdb_id or asked.tvdb_id or title.tvdb_id
        self._last_request_id += 1
        status = RequestStatus.APPROVED if approver else RequestStatus.PENDING
        item = MediaRequest(
            id=self._last_request_id,
            status=status,
            type=title.media_type,
            is4k=bool(asked.is4k),
            media=media,
            requested_by=requester,
            modified_by=approver,
            seasons=[
                SeasonRequest(self._last_request_id * 100 + number, number, status)
                for number in seasons
            ],
        )
        self.requests[item.id] = item
        self._of_media[media.id].append(item)
        if media.status_in(is4k=item.is4k) in {MediaStatus.UNKNOWN, MediaStatus.DELETED}:
            media.set_status(MediaStatus.PENDING, is4k=item.is4k)
        self.settle(media, is4k=item.is4k)
        approved = status is RequestStatus.APPROVED
        self.tell(
            Notification.MEDIA_AUTO_APPROVED if approved else Notification.MEDIA_PENDING, item
        )
        return item


def _rights(verb: str, asked: NewRequest) -> tuple[Permission, Permission]:
    """The general right and the one for this kind: REQUEST_4K and REQUEST_4K_TV."""
    general = f"{verb}_4K" if asked.is4k else verb
    return Permission[general], Permission[f"{general}_{asked.media_type.upper()}"]


def _quota_exceeded(media_type: MediaType) -> Refused:
    return Refused(403, f"{'Movie' if media_type == 'movie' else 'Series'} Quota exceeded.")


def _number(identifier: str) -> int:
    """What JavaScript's ``Number`` makes of it; no id is 0."""
    return int(identifier) if identifier.isdecimal() else 0
