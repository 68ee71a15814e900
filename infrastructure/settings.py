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
    plex_url: str | None = None
    plex_token: str | None = None
    plex_tv_url: str = "https://plex.tv"
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


def _lease_seconds(text: str) -> int:
    seconds = int(text) if text.isdecimal() else 0
    if not 1 <= seconds <= _LONGEST_LEASE:
        raise ValueError(f"it must be a number of seconds from 1 to {_LONGEST_LEASE}.")
    return seconds


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
        limit = Limit(int(calls), int(seconds or _SECONDS[unit]))
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


def _secret(text: str) -> str:
    if len(text) < _SECRET_LENGTH:
        raise ValueError(f"it must have at least {_SECRET_LENGTH} characters.")
    return text


_SECRET_LENGTH = 32
_UNESCAPED = re.compile(r"\s|%00|%(?![0-9A-Fa-f]{2})")
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_LIMIT = re.compile(rf"([0-9]{{1,9}})/(?:({'|'.join(_SECONDS)})|([0-9]{{1,9}})s)")
_LONGEST_LEASE = 600
_INTERNAL = frozenset({"MEDIANEST_READY_FD", "MEDIANEST_LIFELINE_FD"})
"""How a supervisor speaks with its children; not settings."""
_PARSERS: dict[str, Callable[[str], Any]] = {
    "database_url": _url("postgresql", "postgres"),
    "redis_url": _url("redis", "rediss", "unix"),
    "secret_key": _secret,
    "data_dir": Path,
    "port": _port,
    "log_level": _log_level,
    "lease_seconds": _lease_seconds,
    **{f"limit_{policy}": _limit(policy) for policy in Policy},
    "tmdb_url": _url("http", "https"),
    "overseerr_url": _url("http", "https"),
    "sentry_dsn": _dsn,
    "plex_url": _url("http", "https"),
    "plex_tv_url": _url("http", "https"),
}
