"""The people of a running MediaNest whom its contract is examined as, and whom it happens to."""

from datetime import UTC, datetime
from itertools import count
from time import monotonic, sleep
from typing import Any
from uuid import UUID

import httpx
import jwt
import msgspec

from application.execute import Context
from application.ports.errors import LoggedError
from domain.accounts import Role
from domain.alerts import alert_id
from domain.rate_limits import (
    Policy,
    RecordViolations,
    rate_limit_violations,
    rate_limit_violations_id,
)
from infrastructure.compose import new_id, open_use_cases
from infrastructure.database import open_database
from infrastructure.errors.log import PostgresErrorLog
from infrastructure.settings import load
from tests.running import Running

SECRET_KEY = "a secret of these tests and of nothing else"
WEBHOOK_SECRET = "what only Overseerr and these tests know"
ERROR = LoggedError(
    fingerprint="0123456789abcdef",
    kind="ValueError",
    place="tests.contract:nowhere",
    caught_in="test",
    message="made up",
    frames=("tests.contract:nowhere:1",),
    critical=False,
    process="test",
    count=1,
    first_at=datetime(2026, 1, 1, tzinfo=UTC),
    last_at=datetime(2026, 1, 1, tzinfo=UTC),
)
"""One that has not happened, so that there is one to be shown."""
_numbers = count(1)


class Session(msgspec.Struct, frozen=True):
    """Somebody's sign-in, with what a program and what a browser would show of it."""

    access_token: str
    refresh_token: str
    csrf_token: str

    @property
    def id(self) -> str:
        return jwt.decode(self.access_token, options={"verify_signature": False})["sid"]

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access_token}"}

    @property
    def cookie(self) -> dict[str, str]:
        return {
            "Cookie": f"medianest_access={self.access_token}",
            "X-Csrf-Token": self.csrf_token,
        }


class Person:
    """Somebody with an account and a password; always signed in, if need be again."""

    def __init__(self, http: httpx.Client, id_: str, email: str, password: str) -> None:
        self._http = http
        self.id = id_
        self.email = email
        self.password = password
        self._held: Session | None = None

    @property
    def session(self) -> Session:
        """A session that stands."""
        if self._held is None or not self._stands(self._held):
            self._held = self.sign_in()
        return self._held

    def hold(self, session: Session) -> None:
        """Go on with another session."""
        self._held = session

    def sign_in(self) -> Session:
        """Open another session."""
        answer = self._http.post(
            "/auth/login", json={"email": self.email, "password": self.password}
        )
        assert answer.is_success, answer.text
        csrf_token = answer.cookies["medianest_csrf"]
        self._http.cookies.clear()
        held = answer.json()
        return Session(held["accessToken"], held["refreshToken"], csrf_token)

    def make_key(self, *scopes: str) -> str:
        """Make an API key; its id."""
        made = self._post("/auth/keys", {"name": "a key", "scopes": scopes or ("read",)})
        return made.json()["id"]

    def api_key(self, *scopes: str) -> dict[str, str]:
        """Make an API key, and show it."""
        made = self._post("/auth/keys", {"name": "a key", "scopes": scopes})
        return {"X-Api-Key": made.json()["key"]}

    def ask_for(self, tmdb_id: int) -> str:
        """Ask for a film; the id of the request."""
        return self._post("/media/request", {"mediaType": "movie", "tmdbId": tmdb_id}).json()["id"]

    def request_film(self, tmdb_id: int) -> None:
        """Ask for a film, and wait until the list of requests shows it."""
        asked = self._post("/media/request", {"mediaType": "movie", "tmdbId": tmdb_id})
        self._get(f"/media/requests?after={asked.headers['X-Position']}")

    def last_request(self) -> str:
        """The id of the last request."""
        return self._get("/media/requests?limit=1")["items"][0]["id"]

    def channel(self) -> str:
        """The id of a channel, which is added if there is none."""
        for channel in self._get("/notifications/channels")["items"]:
            return channel["id"]
        address = {"type": "ntfy", "topic": "nobody", "url": "http://127.0.0.1:9"}
        added = self._post("/notifications/channels", {"name": "Nobody", "address": address})
        return added.json()["id"]

    def last_notification(self) -> str:
        """The id of the last notification."""
        return self._get("/notifications?limit=1")["items"][0]["id"]

    def be_told(self, admin: "Person", tmdb_id: int) -> None:
        """Hear of a request that the admin has declined it."""
        self.request_film(tmdb_id)
        admin._post(f"/admin/requests/{self.last_request()}/decline", {"reason": "No room."})
        deadline = monotonic() + 10
        while not self._get("/notifications")["items"]:
            assert monotonic() < deadline, "nobody was told"
            sleep(0.05)

    def errors(self) -> set[str]:
        """The fingerprints of all unexpected errors, as admins see them."""
        errors = self._get("/admin/errors?limit=100")["items"]
        return {error["fingerprint"] for error in errors}

    def _get(self, path: str) -> Any:
        answer = self._http.get(path, headers=self.session.bearer)
        assert answer.is_success, answer.text
        return answer.json()

    def _post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        answer = self._http.post(path, json=body, headers=self.session.bearer)
        assert answer.is_success, answer.text
        return answer

    def _stands(self, session: Session) -> bool:
        return self._http.get("/auth/me", headers=session.bearer).is_success


class Town(msgspec.Struct, frozen=True):
    """Everybody of one examination.

    What would end the examiner's own session or change their password happens to ``other``, who
    has the same role. What admins do to accounts happens to the ``victims``, except forgetting,
    which happens to the ``doomed``. The ``admin`` looks after it all.
    """

    examiner: Person
    other: Person
    admin: Person
    victims: list[str]
    doomed: list[str]
    alert: str

    @property
    def needed(self) -> frozenset[str]:
        """The accounts and the session that have to be there to the end."""
        people = (self.examiner, self.other, self.admin)
        return frozenset({self.examiner.session.id, *(person.id for person in people)})


async def found_town(running: Running, http: httpx.Client, role: Role) -> Town:
    """Open the accounts of one examination; and let there be an alert, an error and a violation."""
    urls = running.servers
    settings = load(
        {}, database_url=urls.database_url, redis_url=urls.redis_url, secret_key=SECRET_KEY
    )
    async with (
        open_database(settings, "contract", connections=1) as database,
        open_use_cases(settings, database) as use_cases,
    ):

        async def person(as_: Role) -> Person:
            number = next(_numbers)
            email, password = f"person{number}@example.org", f"the password of {number}"
            id_ = await use_cases.accounts.open_account(email, password, as_, _context())
            return Person(http, str(id_), email, password)

        await use_cases.alerts.raise_alert("test", "contract", "A test", "Runs.", _context())
        await PostgresErrorLog(database.pool).add([ERROR])
        await use_cases.executor.execute(rate_limit_violations, *_violation(), _context())
        under_admins = range(4) if role is Role.ADMIN else ()
        return Town(
            examiner=await person(role),
            other=await person(role),
            admin=await person(Role.ADMIN),
            victims=[(await person(Role.USER)).id for _ in under_admins] or [str(new_id())],
            doomed=[(await person(Role.USER)).id for _ in under_admins],
            alert=str(alert_id("test", "contract")),
        )


def _violation() -> tuple[UUID, RecordViolations]:
    now = datetime.now(UTC)
    violation = RecordViolations(Policy.AUTH, f"account:{new_id()}", 3, now)
    return rate_limit_violations_id(violation.policy, violation.subject, now), violation


def _context() -> Context:
    command_id = new_id()
    return Context("system:test", str(command_id), command_id)
