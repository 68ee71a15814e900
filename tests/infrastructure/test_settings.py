from pathlib import Path

import pytest

from domain.quotas import Quota
from domain.rate_limits import DEFAULTS, Limit, Policy
from infrastructure.settings import Settings, SettingsError, decode, encode, load, variable


def test_nothing_set_gives_the_defaults() -> None:
    assert load({}) == Settings()
    assert load({}).host == "127.0.0.1"
    assert load({}).port == 8080


def test_every_setting_can_come_from_the_environment() -> None:
    settings = load(
        {
            "DATABASE_URL": "postgresql://db/medianest",
            "REDIS_URL": "redis://cache:6379/1",
            "SENTRY_DSN": "https://key@sentry.example/7",
            "MEDIANEST_SECRET_KEY": "k" * 32,
            "MEDIANEST_DATA_DIR": "/srv/medianest",
            "MEDIANEST_HOST": "0.0.0.0",
            "MEDIANEST_PORT": "9000",
            "MEDIANEST_LOG_LEVEL": "DEBUG",
            "MEDIANEST_TMDB_URL": "http://tmdb/3/",
            "MEDIANEST_TMDB_TOKEN": "token",
            "MEDIANEST_OVERSEERR_URL": "https://overseerr",
            "MEDIANEST_OVERSEERR_API_KEY": "key",
            "MEDIANEST_PLEX_URL": "http://plex:32400/",
            "MEDIANEST_PLEX_TOKEN": "plex token",
            "MEDIANEST_PLEX_TV_URL": "http://plex-tv",
            "MEDIANEST_AUTO_APPROVE": "False",
            "MEDIANEST_QUOTA_MOVIES": "10/7d",
            "MEDIANEST_QUOTA_SERIES": "0/366d",
            "MEDIANEST_LEASE_SECONDS": "30",
            "MEDIANEST_OVERSEERR_WEBHOOK_SECRET": "s" * 16,
            "MEDIANEST_OVERSEERR_POLL_SECONDS": "60",
            "MEDIANEST_LIMIT_GENERAL": "1000/day",
            "MEDIANEST_LIMIT_AUTH": "5/minute",
            "MEDIANEST_LIMIT_DOWNLOAD": "100/90s",
            "MEDIANEST_LIMIT_ADMIN": "7/second",
            "PATH": "/bin",
        }
    )
    assert settings == Settings(
        database_url="postgresql://db/medianest",
        redis_url="redis://cache:6379/1",
        sentry_dsn="https://key@sentry.example/7",
        secret_key="k" * 32,
        data_dir=Path("/srv/medianest"),
        host="0.0.0.0",
        port=9000,
        log_level="debug",
        tmdb_url="http://tmdb/3",
        tmdb_token="token",
        overseerr_url="https://overseerr",
        overseerr_api_key="key",
        overseerr_webhook_secret="s" * 16,
        overseerr_poll_seconds=60,
        plex_url="http://plex:32400",
        plex_token="plex token",
        plex_tv_url="http://plex-tv",
        auto_approve=False,
        quota_movies=Quota(10, 7),
        quota_series=Quota(0, 366),
        lease_seconds=30,
        limit_general=Limit(1000, 86400),
        limit_auth=Limit(5, 60),
        limit_download=Limit(100, 90),
        limit_admin=Limit(7, 1),
    )


def test_nobody_may_be_let_in_where_no_admin_needs_to() -> None:
    assert load({"MEDIANEST_LIMIT_DOWNLOAD": "0/hour"}).limits == {
        **DEFAULTS,
        Policy.DOWNLOAD: Limit(0, 3600),
    }


@pytest.mark.parametrize("sender", ["me@example.org", "Media Nest <me@example.org>"])
def test_mail_is_sent_as_a_mailbox_with_or_without_a_name(sender: str) -> None:
    settings = load(
        {"MEDIANEST_SMTP_URL": "smtps://me:a%20b@mail", "MEDIANEST_SMTP_SENDER": sender}
    )
    assert (settings.smtp_url, settings.smtp_sender) == ("smtps://me:a%20b@mail", sender)


def test_settings_reach_another_process_unchanged() -> None:
    settings = load({"MEDIANEST_LIMIT_AUTH": "5/minute", "MEDIANEST_DATA_DIR": "/srv/medianest"})
    assert decode(encode(settings)) == settings


def test_every_setting_can_come_from_a_file_and_the_environment_wins(tmp_path: Path) -> None:
    config = tmp_path / "medianest.toml"
    config.write_text('port = 9000\nhost = "0.0.0.0"\ntmdb_token = "from the file"\n')
    settings = load({"MEDIANEST_PORT": "9001"}, config)
    assert (settings.port, settings.host, settings.tmdb_token) == (9001, "0.0.0.0", "from the file")


def test_the_command_line_wins_over_both() -> None:
    environment = {"MEDIANEST_PORT": "9001"}
    assert load(environment, port=9002).port == 9002
    assert load(environment, port=None).port == 9001


def test_an_empty_variable_is_not_set() -> None:
    assert load({"DATABASE_URL": "", "MEDIANEST_PORT": ""}) == Settings()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("MEDIANEST_PORT", "http", "must be a port number from 0 to 65535"),
        ("MEDIANEST_PORT", "65536", "must be a port number from 0 to 65535"),
        ("MEDIANEST_PORT", "-1", "must be a port number from 0 to 65535"),
        ("MEDIANEST_AUTO_APPROVE", "yes", "must be true or false"),
        ("MEDIANEST_QUOTA_MOVIES", "10/week", "10 requests in any 7 days"),
        ("MEDIANEST_QUOTA_MOVIES", "10/0d", "1 to 366 days"),
        ("MEDIANEST_QUOTA_SERIES", "1001/7d", "0 to 1000 requests"),
        ("MEDIANEST_QUOTA_SERIES", "1/367d", "1 to 366 days"),
        ("MEDIANEST_LEASE_SECONDS", "0", "seconds from 1 to 600"),
        ("MEDIANEST_LEASE_SECONDS", "601", "seconds from 1 to 600"),
        ("MEDIANEST_OVERSEERR_POLL_SECONDS", "0", "seconds from 1 to 86400"),
        ("MEDIANEST_OVERSEERR_POLL_SECONDS", "86401", "seconds from 1 to 86400"),
        ("MEDIANEST_OVERSEERR_WEBHOOK_SECRET", "s" * 15, "at least 16 characters"),
        ("MEDIANEST_LIMIT_GENERAL", "100", "written like"),
        ("MEDIANEST_LIMIT_GENERAL", "100/year", "written like"),
        ("MEDIANEST_LIMIT_GENERAL", "-1/hour", "written like"),
        ("MEDIANEST_LIMIT_GENERAL", "100001/hour", "Must be 0 to 100000 calls"),
        ("MEDIANEST_LIMIT_DOWNLOAD", "5/0s", "Must be 1 to 604800 seconds"),
        ("MEDIANEST_LIMIT_DOWNLOAD", "5/604801s", "Must be 1 to 604800 seconds"),
        ("MEDIANEST_LIMIT_AUTH", "0/hour", "at least 1 call"),
        ("MEDIANEST_LIMIT_ADMIN", "0/hour", "at least 1 call"),
        ("DATABASE_URL", "mysql://db/x", "begins with postgresql or postgres"),
        ("REDIS_URL", "cache:6379", "begins with redis or rediss or unix"),
        ("MEDIANEST_TMDB_URL", "tmdb", "begins with http or https"),
        ("MEDIANEST_OVERSEERR_URL", "ftp://x", "begins with http or https"),
        ("MEDIANEST_PLEX_URL", "plex:32400", "begins with http or https"),
        ("MEDIANEST_PLEX_TV_URL", "plex.tv", "begins with http or https"),
        ("MEDIANEST_SMTP_URL", "mail.example.org", "begins with smtp or smtps"),
        ("MEDIANEST_SMTP_URL", "smtp://mail:99999", "Port out of range"),
        ("MEDIANEST_SMTP_URL", "smtp://:25", "names no host"),
        ("MEDIANEST_SMTP_SENDER", "MediaNest", "MediaNest <medianest@example.org>"),
        ("MEDIANEST_SMTP_SENDER", "a@b.org\nTo: c@d.org", "MediaNest <medianest@example.org>"),
        ("SENTRY_DSN", "https://sentry.example/7", "a DSN as Sentry shows it"),
        ("SENTRY_DSN", "https://key@sentry.example/short", "a DSN as Sentry shows it"),
        ("SENTRY_DSN", "key@sentry.example/7", "a DSN as Sentry shows it"),
        ("SENTRY_DSN", "https://key@sentry.example:99999/7", "Port out of range"),
        ("MEDIANEST_SECRET_KEY", "short", "at least 32 characters"),
        ("MEDIANEST_LOG_LEVEL", "loud", "one of debug, info, warning, error"),
    ],
)
def test_a_wrong_setting_is_named_with_its_reason(name: str, value: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{name} is wrong: .*{reason}") as error:
        load({name: value})
    assert "short" not in str(error.value)


def test_a_setting_that_does_not_exist_is_refused_with_the_likely_one() -> None:
    with pytest.raises(SettingsError, match="Did you mean MEDIANEST_TMDB_TOKEN"):
        load({"MEDIANEST_TMBD_TOKEN": "x"})


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
@pytest.mark.parametrize("password", ["my secret", "my%secret", "my%00secret", "my\u2100secret"])
def test_a_wrong_url_is_told_without_the_password_in_it(name: str, password: str) -> None:
    scheme = "postgresql" if name == "DATABASE_URL" else "redis"
    with pytest.raises(SettingsError, match=name) as refused:
        load({name: f"{scheme}://medianest:{password}@localhost/0"})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("port = 'many'", "port in .* is wrong: it must be a port number"),
        ("prot = 1", "prot in .* is not a setting. Did you mean port"),
        ("port =", "is not TOML"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, content: str, message: str) -> None:
    config = tmp_path / "medianest.toml"
    config.write_text(content)
    with pytest.raises(SettingsError, match=message):
        load({}, config)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        load({}, tmp_path / "nowhere.toml")


def test_the_documentation_names_every_setting() -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    for name in Settings.__struct_fields__:
        assert f"`{variable(name)}`" in page
