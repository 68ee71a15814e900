"""All settings, read once: from the environment, and under it from one TOML file.

Each field of ``Settings`` is one setting. Its environment variable is the upper-case name with
``MEDIANEST_`` before it (those that other tools know too have none), its TOML key the name.
"""

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from domain.kernel import DomainError
from domain.media_requests import MediaType
from domain.quotas import LONGEST_WINDOW, MOST_REQUESTS, Quota
from domain.rate_limits import DEFAULTS, Limit, Policy, check_limit


class SettingsError(Exception):
    """A setting is wrong; the message names it, the reason, and the mend."""


class Settings(msgspec.Struct, frozen=True):
    """Everything that can be chosen. See ``docs/settings.md``."""

    database_url: str | None = None
    redis_url: str | None = None
    secret_key: str | None = None
    data_dir: Path = Path("data")
    host: str = "127.0.0.1"
    port: int = 8080
    log_level: str = "info"
    tmdb_url: str = "https://api.themoviedb.org/3"
    tmdb_token: str | None = None
    overseerr_url: str | None = None
    overseerr_api_key: str | None = None
    overseerr_webhook_secret: str | None = None
    overseerr_poll_seconds: int = 300
    plex_url: str | None = None
    plex_token: str | None = None
    plex_tv_url: str = "https://plex.tv"
    smtp_url: str | None = None
    smtp_sender: str | None = None
    auto_approve: bool = True
    quota_movies: Quota | None = None
    quota_series: Quota | None = None
    lease_seconds: int = 15
    sentry_dsn: str | None = None
    limit_general: Limit = DEFAULTS[Policy.GENERAL]
    limit_auth: Limit = DEFAULTS[Policy.AUTH]
    limit_download: Limit = DEFAULTS[Policy.DOWNLOAD]
    limit_admin: Limit = DEFAULTS[Policy.ADMIN]

    @property
    def limits(self) -> dict[Policy, Limit]:
        """The rate limits, as long as no admin has changed them."""
        return {policy: getattr(self, f"limit_{policy}") for policy in Policy}

    @property
    def quotas(self) -> dict[MediaType, Quota | None]:
        """How much everybody may ask for, as long as no admin says otherwise of a person."""
        return {MediaType.MOVIE: self.quota_movies, MediaType.TV: self.quota_series}

    def required(self, setting: str) -> str:
        """A setting that a process cannot do without. Raises SettingsError."""
        value: str | None = getattr(self, setting)
        if value is None:
            raise SettingsError(
                f"{variable(setting)} is not set, and no MediaNest runs in {self.data_dir}."
            )
        return value


_UNPREFIXED = {
    "database_url": "DATABASE_URL",
    "redis_url": "REDIS_URL",
    "sentry_dsn": "SENTRY_DSN",
}


def variable(setting: str) -> str:
    """The environment variable of a setting."""
    return _UNPREFIXED.get(setting, f"MEDIANEST_{setting.upper()}")


def load(
    environment: Mapping[str, str] = os.environ,
    config: Path | None = None,
    **chosen: Any,
) -> Settings:
    """Read the settings; ``chosen`` (from the command line) comes before both sources.

    ``None`` among ``chosen`` is not chosen. Raises SettingsError for the first wrong one.
    """
    values: dict[str, Any] = {}
    if config is not None:
        values |= _from_file(config)
    values |= _from_environment(environment)
    values |= {name: value for name, value in chosen.items() if value is not None}
    return Settings(**values)


def encode(settings: Settings) -> bytes:
    """The settings, for another process of the same version."""
    return msgspec.json.encode(settings, enc_hook=str)


def decode(encoded: bytes) -> Settings:
    """What ``encode`` was given."""
    return msgspec.json.decode(encoded, type=Settings, dec_hook=lambda type_, text: type_(text))


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    names = {variable(name): name for name in Settings.__struct_fields__}
    values: dict[str, Any] = {}
    for key, text in environment.items():
        if key in names:
            if text:
                values[names[key]] = _parsed(names[key], text, key)
        elif key.startswith("MEDIANEST_") and key not in _INTERNAL:
            raise SettingsError(f"{key} is not a setting.{_hint(key, names)}")
    return values


def _from_file(config: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(config.read_text())
    except OSError as error:
        raise SettingsError(f"{config} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{config} is not TOML: {error}.") from None
    for key in document:
        if key not in Settings.__struct_fields__:
            hint = _hint(key, Settings.__struct_fields__)
            raise SettingsError(f"{key} in {config} is not a setting.{hint}")
    return {key: _parsed(key, str(value), f"{key} in {config}") for key, value in document.items()}


def _hint(key: str, names: Iterable[str]) -> str:
    close = get_close_matches(key, names, n=1)
    return f" Did you mean {close[0]}?" if close else ""


def _parsed(name: str, text: str, where: str) -> Any:
    try:
        return _PARSERS.get(name, str)(text.strip())
    except ValueError as error:
        raise SettingsError(f"{where} is wrong: {error}") from None


def _port(text: str) -> int:
    port = int(text) if text.isdecimal() else -1
    if port not in range(65536):
        raise ValueError("it must be a port number from 0 to 65535 (0 takes a free one).")
    return port


def _seconds(most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        seconds = int(text) if text.isdecimal() else 0
        if not 1 <= seconds <= most:
            raise ValueError(f"it must be a number of seconds from 1 to {most}.")
        return seconds

    return parse


def _switch(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError("it must be true or false.")
    return text.lower() == "true"


def _quota(text: str) -> Quota:
    written = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})d", text)
    if not written:
        raise ValueError('it must be written like "10/7d": 10 requests in any 7 days.')
    quota = Quota(int(written[1]), int(written[2]))
    if quota.limit > MOST_REQUESTS or not 1 <= quota.days <= LONGEST_WINDOW:
        raise ValueError(f"it must be 0 to {MOST_REQUESTS} requests in 1 to {LONGEST_WINDOW} days.")
    return quota


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        # Whoever else found these faults would quote what it found, which may be the password.
        if _UNESCAPED.search(text):
            raise ValueError("a space in it must be written %20, and a percent sign %25.")
        try:
            parts = urlsplit(text)
        except ValueError:
            raise ValueError("it is not a URL.") from None
        if parts.scheme not in schemes or not (parts.netloc or parts.path):
            raise ValueError(f"it must be a URL that begins with {' or '.join(schemes)}.")
        return text.rstrip("/")

    return parse


def _limit(policy: Policy) -> Callable[[str], Limit]:
    def parse(text: str) -> Limit:
        written = _LIMIT.fullmatch(text)
        if not written:
            raise ValueError('it must be written like "100/hour", "5/minute" or "100/90s".')
        calls, unit, seconds = written.groups()
        limit = Limit(int(calls), int(seconds or _UNITS[unit]))
        try:
            check_limit(policy, limit)
        except DomainError as refusal:
            raise ValueError(str(refusal)) from None
        return limit

    return parse


def _dsn(text: str) -> str:
    parts = urlsplit(text)
    project = parts.path.rpartition("/")[2]
    if not (
        parts.scheme in {"http", "https"}
        and parts.username
        and parts.hostname
        and project.isdecimal()
    ):
        raise ValueError("it must be a DSN as Sentry shows it: https://<key>@<host>/<project>.")
    parts.port  # noqa: B018 - raises ValueError for one that is none
    return text


def _log_level(text: str) -> str:
    levels = ("debug", "info", "warning", "error")
    if text.lower() not in levels:
        raise ValueError(f"it must be one of {', '.join(levels)}.")
    return text.lower()


def _smtp(text: str) -> str:
    parts = urlsplit(_url("smtp", "smtps")(text))
    parts.port  # noqa: B018 - raises ValueError for one that is none
    if not parts.hostname:
        raise ValueError("it names no host: smtp://host or smtps://host.")
    return text.rstrip("/")


def _mailbox(text: str) -> str:
    if not _MAILBOX.fullmatch(text):
        raise ValueError("it must be written like MediaNest <medianest@example.org>.")
    return text


def _secret(length: int) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if len(text) < length:
            raise ValueError(f"it must have at least {length} characters.")
        return text

    return parse


_MAILBOX = re.compile(r"[^<>@\s]+@[^<>@\s]+|[^<>@\r\n]* <[^<>@\s]+@[^<>@\s]+>")
_UNESCAPED = re.compile(r"\s|%00|%(?![0-9A-Fa-f]{2})")
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_LIMIT = re.compile(rf"([0-9]{{1,9}})/(?:({'|'.join(_UNITS)})|([0-9]{{1,9}})s)")
_LONGEST_LEASE = 600
_LONGEST_POLL = 86_400
_INTERNAL = frozenset({"MEDIANEST_READY_FD", "MEDIANEST_LIFELINE_FD"})
"""How a supervisor speaks with its children; not settings."""
_PARSERS: dict[str, Callable[[str], Any]] = {
    "database_url": _url("postgresql", "postgres"),
    "redis_url": _url("redis", "rediss", "unix"),
    "secret_key": _secret(32),
    "overseerr_webhook_secret": _secret(16),
    "overseerr_poll_seconds": _seconds(_LONGEST_POLL),
    "data_dir": Path,
    "port": _port,
    "log_level": _log_level,
    "auto_approve": _switch,
    "quota_movies": _quota,
    "quota_series": _quota,
    "lease_seconds": _seconds(_LONGEST_LEASE),
    **{f"limit_{policy}": _limit(policy) for policy in Policy},
    "tmdb_url": _url("http", "https"),
    "overseerr_url": _url("http", "https"),
    "smtp_url": _smtp,
    "smtp_sender": _mailbox,
    "sentry_dsn": _dsn,
    "plex_url": _url("http", "https"),
    "plex_tv_url": _url("http", "https"),
}
