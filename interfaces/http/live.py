"""The address of the WebSocket, as plain HTTP sees it."""

from litestar import get

from domain.permissions import Action
from interfaces.http.call import Call
from interfaces.http.errors import UpgradeRequired, refusals


@get(
    "/ws",
    summary="Live events (WebSocket)",
    opt={"action": Action.LOOK_FROM_OUTSIDE},
    status_code=101,
    responses=refusals(UpgradeRequired),
)
async def upgrade(request: Call) -> None:
    """Speaks WebSocket, with JSON text messages.

    The access token comes in `Authorization`, in the subprotocol pair
    `medianest.v1, bearer.<token>`, or within 5 s as `{"type": "authenticate", "token": "…"}`; an
    API key with the scope `read` comes in `X-Api-Key`. Cookies sign nobody in here.
    Then `{"type": "subscribe", "topics": ["requests"], "from": 42}` is answered by
    `{"type": "subscribed", "topics": ["requests"], "position": 42}`, and messages
    `{"type": "mediaRequestUpdate", "position": 43, "at": "…", "data": {…}}` follow: with `from`
    first what was missed behind that position, then what comes, with no gap and no repeat; without
    `from` it begins now. `newRequest` goes to admins; topic `audit` gives admins every event.
    Every 20 s a `{"type": "ping", "position": 50}` says up to where everything has been sent.
    Close codes: 4400 bad message, 4401 token bad or expired, 4403 not allowed, 4408 too slow
    (resume with `from`), 1001 the server stops (resume with `from`), 1011 internal error.
    """
    del request
    raise UpgradeRequired
