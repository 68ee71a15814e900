"""Who asks while something is done to Redis: people, forgers, and those whose session is closed."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from itertools import count

import httpx
import websockets

from infrastructure.security import base64url
from tests.faults.traffic import Answer, Asking, Doomed, Headers, Traffic
from tests.journeys.people import SignedIn, signed_in
from tests.running import Running

SIGN_INS, ALONE = 10, 5
"""What the limit of sign-in allows, and what a process allows while it has to count alone."""
ADMIN_CALLS = 15
ENVIRONMENT = {
    "MEDIANEST_LOG_LEVEL": "warning",
    "MEDIANEST_LIMIT_AUTH": f"{SIGN_INS}/hour",
    "MEDIANEST_LIMIT_ADMIN": f"{ADMIN_CALLS}/hour",
}
FRIEND, CHILD, OWNER = (f"stand-in-plex-{name}" for name in ("friend", "child", "owner"))
GUESS = {"email": "nobody@example.org", "password": "a guess"}

_hosts = count(2)


class Crowd:
    """Those who ask in every test, at both API processes."""

    def __init__(self, running: Running, traffic: Traffic) -> None:
        self._running = running
        self._traffic = traffic
        self.steward: Headers = {}
        """An admin who has calls left."""
        self.spent: list[Asking] = []
        """An admin who soon has none."""
        self.good: list[Asking] = []
        self.forged: list[Asking] = []
        self.doomed: dict[str, Doomed] = {}
        self.guesses: list[list[Asking]] = []

    async def gather(self, *doomed: str) -> None:
        """Let everybody begin; of those named, each has a session that will be closed."""
        admin = await self._seeded("admin")
        owner, friend = [await self._with_plex(token) for token in (OWNER, FRIEND)]
        async with self._client() as client:
            path = f"/admin/users/{owner.user['id']}"
            answer = await client.patch(path, json={"role": "admin"}, headers=admin)
        assert answer.is_success, answer.text
        self.steward = owner.headers
        await self._add_good(friend)
        await self._add_forged(friend)
        for name in doomed:
            session = await self._with_plex(CHILD)
            self.doomed[name] = await self._traffic.doomed(session.headers)
        self.spent = await self._traffic.ask("/admin/users", admin)
        await self.guess()

    async def guess(self) -> list[Asking]:
        """Let somebody guess passwords from a new address until both processes refuse it."""
        guesses = await self._traffic.ask("/auth/login", body=GUESS, address=_new_address())
        self.guesses.append(guesses)
        for one in guesses:
            await one.until(refused)
        return guesses

    async def use_up_the_limits(self) -> None:
        """Wait until both limits are used up: both processes together have let in that many."""
        for one in (*self.spent, *self.guesses[0]):
            await one.until(refused)
        assert sum(one.admitted for one in self.spent) == ADMIN_CALLS - 1, "one made the steward"
        assert sum(one.admitted for one in self.guesses[0]) == SIGN_INS

    async def audit(self) -> websockets.ClientConnection:
        """A socket that tells the steward of every event."""
        async with httpx.AsyncClient(headers=self.steward) as client:
            return await self._traffic.enter(self._running.socket(client, "audit"))

    async def check(self, *, excused: Collection[int] = ()) -> None:
        """Nobody was signed out, nobody let in, and no process let more in than the limit.

        The ``excused`` statuses are no answer to who asks.
        """
        for one in self.good:
            await one.until(lambda answer: answer.status == 200)
            assert one.statuses() - {*excused} == {200}
        for one in self.forged:
            await one.until(lambda answer: answer.status == 401)
            assert one.statuses() - {*excused} == {401}
        for session in self.doomed.values():
            await session.check(excused=excused)
        for guesses in self.guesses:
            for one in guesses:
                assert one.statuses() - {*excused} == {401, 429}
                assert one.admitted <= SIGN_INS

    async def _add_good(self, friend: SignedIn) -> None:
        user = await self._seeded("user")
        for path, headers in (
            ("/auth/me", user),
            ("/media/requests", await self._seeded("user")),
            ("/auth/sessions", friend.headers),
            ("/auth/me", {"X-Api-Key": await self._key(friend)}),
        ):
            self.good += await self._traffic.ask(path, headers)

    async def _add_forged(self, friend: SignedIn) -> None:
        header, _, signature = friend.access_token.split(".")
        _, another, _ = (await self._with_plex(FRIEND)).access_token.split(".")
        unsigned = base64url.encode(b'{"alg":"none","typ":"at+jwt"}')
        key = await self._key(friend)
        forged = [
            {"Authorization": f"Bearer {token}"}
            for token in (
                f"{header}.{another}.{signature}",
                f"{unsigned}.{another}.",
                friend.refresh_token,
            )
        ]
        for headers in (*forged, {"X-Api-Key": key.swapcase()}):
            self.forged += await self._traffic.ask("/auth/me", headers)

    async def _key(self, person: SignedIn) -> str:
        expires_at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        wish = {"name": "A script", "scopes": ["read"], "expiresAt": expires_at}
        async with self._client() as client:
            answer = await client.post("/auth/keys", json=wish, headers=person.headers)
        assert answer.is_success, answer.text
        return answer.json()["key"]

    async def _seeded(self, role: str) -> Headers:
        async with self._client() as client:
            return {"Authorization": f"Bearer {await self._running.token(client, role)}"}

    async def _with_plex(self, token: str) -> SignedIn:
        async with self._client() as client:
            return signed_in(client, await client.post("/auth/login", json={"plexToken": token}))

    def _client(self) -> httpx.AsyncClient:
        """Of a new address, so that no sign-in counts against a limit that others use."""
        return httpx.AsyncClient(
            base_url=f"{self._running.url}/api/v1",
            transport=httpx.AsyncHTTPTransport(trust_env=False, local_address=_new_address()),
            timeout=20,
        )


def refused(answer: Answer) -> bool:
    """Whether a limit has refused it."""
    return answer.status == 429


def _new_address() -> str:
    return f"127.0.7.{next(_hosts)}"
