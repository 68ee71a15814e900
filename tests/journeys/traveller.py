"""A journey through everything that makes data about people, the wrong ways included."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import httpx
import msgspec
import websockets

from infrastructure.stand_ins.faults import Refuse, Status
from infrastructure.stand_ins.running import StandIns
from tests.journeys.traces import Secrets
from tests.running import Running, run

ADDRESS = "127.0.0.77"
"""From where all calls come; whatever else this machine says to itself comes from 127.0.0.1."""
AGENT = "Agent of Wilhelmina/7"
NAME = "Wilhelmina Zweistein-Übermut"
EMAIL, NEW_EMAIL = "wilhelmina@secrecy.example", "Zweistein@Secrecy.example"
PASSWORD, NEW_PASSWORD = "the password of Wilhelmina", "a later password of Wilhelmina"
CLICK = "a-click-of-this-journey"
"""The correlation id of all calls. It is no secret, and to be found wherever calls leave traces."""

REFUSE_EVENTS: LiteralString = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'cannot store %', convert_from(NEW.state, 'UTF8'); END $$;
CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse()
"""
ACCEPT_EVENTS: LiteralString = "DROP FUNCTION refuse() CASCADE"
_OF_THE_NEWEST: LiteralString = (
    "WHERE owner = (SELECT owner FROM personal_keys ORDER BY owner DESC LIMIT 1)"
)
DAMAGE_NEWEST_KEY = f"UPDATE personal_keys SET wrapped = wrapped || '!' {_OF_THE_NEWEST}"
REPAIR_NEWEST_KEY = (
    f"UPDATE personal_keys SET wrapped = substr(wrapped, 1, length(wrapped) - 1) {_OF_THE_NEWEST}"
)
CUT_CONNECTIONS: LiteralString = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


class Traveller:
    """Goes through it step by step; ``people`` are the ids of those who took part, by e-mail."""

    def __init__(self, running: Running, stand_ins: StandIns, secrets: Secrets) -> None:
        self.people: dict[str, str] = {}
        self.request_id = ""
        self._running = running
        self._stand_ins = stand_ins
        self._secrets = secrets

    async def travel(self) -> None:
        """Go all the way."""
        async with self._client() as nobody, self._client() as person, self._client() as admin:
            await self._set_up(admin)
            await self._add_by_command(EMAIL, PASSWORD)
            await self._guess(nobody)
            await self._live(person, nobody)
            await self._be_told(person, admin)
            await self._use_plex(nobody)
            await self._use_sockets(person)
            await self._meet_errors(nobody, person)
            await self._call_too_often(nobody, person, admin)
            await self._steer(admin)
            await self._look_around(admin)

    @asynccontextmanager
    async def _client(self) -> AsyncGenerator[httpx.AsyncClient]:
        async with httpx.AsyncClient(
            base_url=f"{self._running.url}/api/v1",
            transport=httpx.AsyncHTTPTransport(local_address=ADDRESS),
            event_hooks=self._secrets.hooks,
            timeout=20,
            headers={"User-Agent": AGENT, "X-Correlation-Id": CLICK},
        ) as client:
            yield client

    async def _sign_in(self, client: httpx.AsyncClient, **form: str) -> dict[str, Any]:
        held = await _ask(client, "POST", "/auth/login", 200, json=form)
        client.headers["Authorization"] = f"Bearer {held['accessToken']}"
        return held

    async def _set_up(self, admin: httpx.AsyncClient) -> None:
        form = {"email": "Root.Admin@secrecy.example", "password": "the password of the admin"}
        wrong = {"token": f"mns_{'x' * 64}", **form}
        await _ask(admin, "POST", "/auth/setup", 401, json=wrong)
        right = {"token": self._running.setup_token, **form}
        held = await _ask(admin, "POST", "/auth/setup", 201, json=right)
        admin.headers["Authorization"] = f"Bearer {held['accessToken']}"
        self.people["admin"] = held["user"]["id"]

    async def _add_by_command(self, email: str, password: str) -> None:
        folder = ("--data-dir", str(self._running.data_dir))
        arguments = ("accounts", "add", email, "--password-stdin", *folder)
        status, out, error = await run(*arguments, stdin=password.encode())
        assert (status, error) == (0, "")
        self.people[email] = out.strip()
        self._secrets.all |= {email, password}

    async def _guess(self, nobody: httpx.AsyncClient) -> None:
        """Show what does not let in, in every place where it could be shown."""
        forged = f"eyJhbGciOiJub25lIn0.{'e30' * 20}."
        key, cut_off = "a-guess-of-an-api-key", "a password that is cut off"
        self._secrets.all |= {forged, key, cut_off}
        login = "/auth/login"
        for email, password, status in (
            (EMAIL, "a wrong password", 401),
            ("Nobody@secrecy.example", "the password of nobody", 401),
            (EMAIL, "a password without end" * 100, 400),
        ):
            body = {"email": email, "password": password}
            await _ask(nobody, "POST", login, status, json=body)
        half = f'{{"email": "{EMAIL}", "password": "{cut_off}'
        for kind, status in (("application/json", 400), ("text/plain", 415)):
            headers = {"Content-Type": kind}
            await _ask(nobody, "POST", login, status, content=half, headers=headers)
        token = {"refreshToken": f"mnr_{'y' * 64}"}
        await _ask(nobody, "POST", "/auth/refresh", 401, json=token)
        for headers in (
            {"Authorization": f"Bearer {forged}"},
            {"Authorization": forged},
            {"X-Api-Key": key},
            {"Cookie": f"medianest_access={forged}"},
        ):
            await _ask(nobody, "GET", "/auth/me", 401, headers=headers)
        await _ask(nobody, "GET", f"/auth/plex/pin/1-{key}", 404)
        await _ask(nobody, "GET", f"/{forged}", 404)
        await _ask(nobody, "GET", "/media/requests", 401, params={"token": forged})

    async def _live(self, person: httpx.AsyncClient, nobody: httpx.AsyncClient) -> None:
        """What a person does with an account."""
        held = await self._sign_in(person, email=EMAIL, password=PASSWORD)
        await _ask(person, "PATCH", "/auth/me", 200, json={"name": NAME})
        change: dict[str, str] = {"password": PASSWORD, "email": NEW_EMAIL}
        await _ask(person, "PATCH", "/auth/me", 403, json={**change, "password": "not hers"})
        await _ask(person, "PATCH", "/auth/me", 200, json=change)
        change = {"password": PASSWORD, "newPassword": NEW_PASSWORD}
        repeatable = {"Idempotency-Key": "a key that names Wilhelmina"}
        self._secrets.all.add(repeatable["Idempotency-Key"])
        for _ in range(2):
            await _ask(person, "POST", "/auth/password", 204, json=change, headers=repeatable)
        for name in ("the phone of Wilhelmina", "the script of Wilhelmina"):
            made = await self._make_key(person, name)
            shown = {"X-Api-Key": made["key"]}
            await _ask(nobody, "GET", "/auth/me", 200, headers=shown)
        await _ask(person, "DELETE", f"/auth/keys/{made['id']}", 204)
        await self._lose_a_token(held["refreshToken"])
        await self._use_cookies()
        said = {"message": f"No user {NEW_EMAIL} at {ADDRESS}: {'S3cret' * 8}"}
        self._secrets.all.add("S3cret" * 8)
        await self._stand_ins.overseerr.fail(Status(status=500, body=said))
        film = {"mediaType": "movie", "tmdbId": 603}
        self.request_id = (await _ask(person, "POST", "/media/request", 201, json=film))["id"]

    async def _be_told(self, person: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
        """Hear of a request by channels that lead nowhere, and read it."""
        channels = "/notifications/channels"
        url, secret = "http://127.0.0.1:9/hooks-of-wilhelmina", "whsec_c2VjcmV0IG9mIFdpbGhlbG1pbmE="
        mailbox, name = "wilhelmina.told@secrecy.example", "the hook of Wilhelmina"
        self._secrets.all |= {url, secret, mailbox, name}
        for address in (
            {"type": "webhook", "url": url, "secret": secret},
            {"type": "email", "to": mailbox},
        ):
            wish = {"name": name, "address": address}
            channel = await _ask(person, "POST", channels, 201, json=wish)
            await _ask(person, "POST", f"{channels}/{channel['id']}/test", 200)
        broken = {"name": name, "address": {"type": "webhook", "url": f"{url} x", "secret": 7}}
        await _ask(person, "POST", channels, 400, json=broken)
        film = {"mediaType": "movie", "tmdbId": 604}
        request = await _ask(person, "POST", "/media/request", 201, json=film)
        path = f"/admin/requests/{request['id']}/decline"
        await _ask(admin, "POST", path, 200, json={"reason": "No room."})
        async with asyncio.timeout(20):
            while len((await _ask(person, "GET", "/notifications/deliveries", 200))["items"]) < 2:
                await asyncio.sleep(0.05)
        await _ask(person, "POST", "/notifications/read-all", 204)

    async def _make_key(self, person: httpx.AsyncClient, name: str) -> dict[str, Any]:
        """Asked for twice, so that the answer with the key in it is kept."""
        expires_at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        wish = {"name": name, "scopes": ["read"], "expiresAt": expires_at}
        headers = {"Idempotency-Key": name}
        made = [
            await _ask(person, "POST", "/auth/keys", 201, json=wish, headers=headers)
            for _ in range(2)
        ]
        assert made[0] == made[1]
        return made[0]

    async def _lose_a_token(self, token: str) -> None:
        """Refresh until a stolen token is shown again."""
        async with self._client() as client:
            held = await self._sign_in(client, email=NEW_EMAIL, password=NEW_PASSWORD)
            stolen = held["refreshToken"]
            for _ in range(2):
                body = {"refreshToken": held["refreshToken"]}
                held = await _ask(client, "POST", "/auth/refresh", 200, json=body)
            for spent in (stolen, held["refreshToken"], token):
                body = {"refreshToken": spent}
                status = 200 if spent == token else 401
                await _ask(client, "POST", "/auth/refresh", status, json=body)

    async def _use_cookies(self) -> None:
        async with self._client() as browser:
            form = {"email": NEW_EMAIL, "password": NEW_PASSWORD}
            await _ask(browser, "POST", "/auth/login", 200, json=form)
            await _ask(browser, "PATCH", "/auth/me", 403, json={"name": NAME})
            csrf = {"X-Csrf-Token": browser.cookies["medianest_csrf"]}
            await _ask(browser, "POST", "/auth/refresh", 200, json={}, headers=csrf)
            await _ask(browser, "POST", "/auth/logout", 204, headers=csrf)

    async def _use_plex(self, nobody: httpx.AsyncClient) -> None:
        for token, status in (
            ("stand-in-plex-friend", 200),
            ("stand-in-plex-stranger", 403),
            ("stand-in-plex-nobody", 401),
        ):
            held = await _ask(nobody, "POST", "/auth/login", status, json={"plexToken": token})
            if status == 200:
                self.people["friend"] = held["user"]["id"]
        pin = await _ask(nobody, "POST", "/auth/plex/pin", 201)
        path = f"/auth/plex/pin/{pin['id']}"
        await _ask(nobody, "GET", path, 200)
        await self._stand_ins.plex_tv.fail(Refuse())
        await _ask(nobody, "GET", path, 503)
        await _ask(nobody, "POST", "/auth/login", 503, json={"plexToken": "stand-in-plex-friend"})
        await self._stand_ins.plex_tv.fail()
        self._secrets.all.add(self._stand_ins.plex_tv.confirm(pin["code"], "friend"))
        await _ask(nobody, "GET", path, 200)
        await _ask(nobody, "GET", path, 409)

    async def _use_sockets(self, person: httpx.AsyncClient) -> None:
        token = person.headers["Authorization"].removeprefix("Bearer ")
        good, bad = (
            {"type": "authenticate", "token": token},
            {"type": "authenticate", "token": "bad"},
        )
        subscribe = {"type": "subscribe", "topics": ["requests"]}
        for messages, code in (
            ([bad], 4401),
            ([{**good, "type": "autenticate"}], 4400),
            ([{"type": "authenticate", "toke": token}], 4400),
            ([good, subscribe, good], 4400),
            ([good, {**subscribe, "topics": ["audit"]}], 4403),
        ):
            assert await self._talk(messages, []) == code
        # A page in a browser shows it as a subprotocol.
        assert await self._talk([subscribe, good], [f"bearer.{token}"]) == 4400

    async def _talk(self, messages: list[dict[str, Any]], protocols: list[str]) -> int | None:
        """Say it all; with which code the server ends it."""
        async with websockets.connect(
            f"{self._running.url.replace('http', 'ws', 1)}/api/v1/ws",
            subprotocols=[websockets.Subprotocol(name) for name in ("medianest.v1", *protocols)],
            local_addr=(ADDRESS, 0),
            user_agent_header=AGENT,
            additional_headers={"X-Correlation-Id": CLICK},
            proxy=None,
        ) as socket:
            for message in messages:
                await socket.send(msgspec.json.encode(message).decode())
            async with asyncio.timeout(10):
                await socket.wait_closed()
            self._secrets.error_answers.append(f"{socket.close_reason} {CLICK}".encode())
            return socket.close_code

    async def _meet_errors(self, nobody: httpx.AsyncClient, person: httpx.AsyncClient) -> None:
        """What nobody expects, in the middle of a sign-in and of a look."""
        form = {"email": NEW_EMAIL, "password": NEW_PASSWORD}
        async with self._broken(REFUSE_EVENTS, ACCEPT_EVENTS):
            await _ask(nobody, "POST", "/auth/login", 503, json=form)
        damaged = {"email": "damaged@secrecy.example", "password": "the password of nobody else"}
        await self._add_by_command(**damaged)
        async with self._broken(DAMAGE_NEWEST_KEY, REPAIR_NEWEST_KEY):
            await _ask(nobody, "POST", "/auth/login", 500, json=damaged)
        hide, show = (
            "ALTER TABLE sessions_v1 RENAME TO hidden",
            "ALTER TABLE hidden RENAME TO sessions_v1",
        )
        async with self._broken(hide, show):
            await _ask(person, "GET", "/auth/sessions", 500)
        async with self._broken(CUT_CONNECTIONS, "SELECT 1"):
            answer = await nobody.post("/auth/login", json=form)
            assert answer.status_code in {200, 500, 503}

    @asynccontextmanager
    async def _broken(self, harm: LiteralString, mend: LiteralString) -> AsyncGenerator[None]:
        with self._running.connect() as connection:
            connection.execute(harm)
            try:
                yield
            finally:
                connection.execute(mend)

    async def _call_too_often(
        self, nobody: httpx.AsyncClient, person: httpx.AsyncClient, admin: httpx.AsyncClient
    ) -> None:
        path = "/admin/rate-limits/general"
        for limit in (1, 100_000):
            await _ask(admin, "PUT", path, 200, json={"limit": limit, "windowSeconds": 3600})
            if limit == 1:
                for client, call in ((person, "/auth/me"), (nobody, "/auth/plex/pin/nothing")):
                    async with asyncio.timeout(10):
                        while (await client.get(call)).status_code != 429:
                            pass

    async def _steer(self, admin: httpx.AsyncClient) -> None:
        friend = f"/admin/users/{self.people['friend']}"
        await _ask(admin, "PATCH", friend, 200, json={"role": "admin"})
        await _ask(admin, "POST", f"{friend}/suspend", 200)
        await _ask(admin, "POST", f"{friend}/restore", 200)
        await _ask(admin, "DELETE", friend, 204)

    async def _look_around(self, admin: httpx.AsyncClient) -> None:
        for path in ("users", "rate-limits", "errors", "alerts"):
            await _ask(admin, "GET", f"/admin/{path}", 200)


async def _ask(
    client: httpx.AsyncClient, method: str, path: str, status: int, **rest: Any
) -> dict[str, Any]:
    answer = await client.request(method, path, **rest)
    assert answer.status_code == status, (method, path, answer.text)
    return answer.json() if answer.content else {}
