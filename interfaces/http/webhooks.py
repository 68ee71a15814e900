"""What other services tell us of their own accord."""

import hmac
from typing import Annotated, Any, cast

import msgspec
from litestar import Request, Response, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_204_NO_CONTENT
from msgspec import Meta

from application.ports import StoreUnavailable, UnreadableStream
from domain.media_requests import MediaType
from domain.permissions import Action
from interfaces.http.call import Call
from interfaces.http.errors import BAD_BODY, WrongWebhookSecret, refusals

Short = Annotated[str, Meta(max_length=100)]


class NewsMedia(msgspec.Struct, frozen=True):
    """The title that the news is about; Overseerr writes numbers as texts."""

    media_type: Short = ""
    tmdb_id: Short = msgspec.field(name="tmdbId", default="")


class OverseerrNews(msgspec.Struct, frozen=True):
    """What Overseerr's default template says, as far as it matters here.

    Test notifications, and some others, are about no ``media``.
    """

    media: NewsMedia | None = None


async def require_secret(request: Request[Any, Any, Any]) -> None:
    """Goes before the body is read. Raises WrongWebhookSecret.

    Overseerr sends verbatim what it was told to; some write the scheme before it and some do not.
    """
    right = cast("Call", request).doors.overseerr_secret
    shown = request.headers.get("authorization", "")
    offered = (shown, shown.removeprefix("Bearer "))
    matches = [hmac.compare_digest(text.encode(), (right or "").encode()) for text in offered]
    if not right or not any(matches):
        raise WrongWebhookSecret


@post(
    "/webhooks/overseerr",
    summary="Hear from Overseerr",
    opt={"action": Action.HEAR_OVERSEERR},
    before_request=require_secret,
    status_code=HTTP_204_NO_CONTENT,
    responses=refusals(*BAD_BODY, WrongWebhookSecret, StoreUnavailable, UnreadableStream),
)
async def hear_overseerr(request: Call, data: JSONBody[OverseerrNews]) -> Response[None]:
    """For the webhook of Overseerr, or of Seerr, with its default template.

    ``Authorization`` is the secret of the setting ``MEDIANEST_OVERSEERR_WEBHOOK_SECRET``. What is
    heard is only a hint: we look for ourselves how our requests for the title stand.
    """
    about = data.media
    if about and about.media_type in {*MediaType} and about.tmdb_id.isdecimal():
        await request.doors.upstream_news.hint(
            MediaType(about.media_type), int(about.tmdb_id), request.correlation_id
        )
    return Response(None, status_code=HTTP_204_NO_CONTENT)
