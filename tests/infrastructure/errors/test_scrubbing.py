from uuid import UUID

import psycopg
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from infrastructure.errors.scrubbing import LONGEST_MESSAGE, message_of, scrub

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("cannot connect to postgresql://ann:hunter2@db/medianest", "hunter2"),
        ("redis://:hunter2@cache:6379/0 refused", "hunter2"),
        ("GET https://plex.tv/users?X-Plex-Token=abc&page=2 failed", "abc"),
        (f"Authorization: Bearer {TOKEN}", TOKEN[-20:]),
        ("bad header Basic YW5uOmh1bnRlcjI=", "YW5u"),
        ("password=hunter2 is too short", "hunter2"),
        ("{'api_key': 'hunter2', 'page': 1}", "hunter2"),
        ('{"refreshToken": "hunter2 and more"}', "hunter2"),
        ("MEDIANEST_SECRET_KEY=hunter2", "hunter2"),
        ("no mailbox ann.lee+films@mail.example.org here", "ann"),
        ("no mailbox ann.lee+films@mail.example.org here", "example"),
        ("connection from 192.168.17.4:5555 reset", "192.168"),
        ("connection from [2001:db8::8a2e:370:7334]:443 reset", "8a2e"),
        ("peer ::1 reset", "::1"),
        (f"token {TOKEN} expired", TOKEN[:10]),
        ("digest 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b expired", "9f86d0"),
    ],
)
def test_a_secret_never_gets_through(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in scrub(text)


@pytest.mark.parametrize(
    "text",
    [
        "division by zero",
        "Position 42 is not shown yet. Please try again.",
        f"no request {UUID(int=2**127 + 12345)}",
        "infrastructure.subscriptions.projector:Projector.write_all_the_rows",
        "at 12:30:15 it was too late",
        "https://api.themoviedb.org/3/movie/603 answered 502",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert scrub(text) == text


def test_a_message_is_one_line_of_bounded_length() -> None:
    assert scrub("a\n  b\tc") == "a b c"
    assert scrub("a\x00b\x1b[31m\ud800") == "a b [31m"
    assert len(scrub("word " * 1_000_000)) == LONGEST_MESSAGE


@for_all(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
def test_any_text_can_be_scrubbed(text: str) -> None:
    assert len(scrub(text)) <= LONGEST_MESSAGE
    assert "\n" not in scrub(text)


def test_values_that_an_error_quotes_are_left_out_and_names_in_code_are_kept() -> None:
    assert message_of(ValueError("invalid literal for int() with base 10: 'hunter2'")) == (
        "invalid literal for int() with base 10: “…”"
    )
    assert message_of(KeyError("hunter2")) == "“…”"
    assert message_of(ValueError("it doesn't, and can't, work")) == "it doesn't, and can't, work"
    missing = AttributeError("'NoneType' object has no attribute 'title'")
    assert message_of(missing) == "'NoneType' object has no attribute 'title'"


def test_an_error_of_the_database_tells_no_rows_and_no_parameters(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE people (email text PRIMARY KEY)")
        connection.execute("INSERT INTO people VALUES ('ann')")
        with pytest.raises(psycopg.errors.UniqueViolation) as taken:
            connection.execute("INSERT INTO people VALUES (%s)", ("ann",))
        with pytest.raises(psycopg.errors.InvalidTextRepresentation) as malformed:
            connection.execute("SELECT %s::text::int", ("hunter2",))
        with pytest.raises(psycopg.errors.UndefinedTable) as undefined:
            connection.execute("SELECT * FROM nowhere WHERE email = 'hunter2'")
    assert "ann" in str(taken.value)
    assert "hunter2" in str(malformed.value)
    assert message_of(taken.value) == "23505: duplicate key value violates unique constraint “…”"
    assert message_of(malformed.value) == "22P02: invalid input syntax for type integer: “…”"
    assert message_of(undefined.value) == '42P01: relation "nowhere" does not exist'
