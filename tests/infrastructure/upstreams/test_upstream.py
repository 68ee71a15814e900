"""Retry-After in both forms, and what every call carries."""

from datetime import UTC, datetime, timedelta

import pytest
import structlog

from infrastructure.stand_ins.faults import Drop, Garbage, Hang, Refuse, Status
from infrastructure.stand_ins.running import StandIns
from infrastructure.upstreams.upstream import (
    LONGEST_RETRY_AFTER,
    TIMEOUT,
    TimedOut,
    Unintelligible,
    Unreachable,
    Upstream,
    parse_retry_after,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("0", timedelta()),
        ("120", timedelta(minutes=2)),
        ("Sun, 01 Mar 2026 12:00:30 GMT", timedelta(seconds=30)),
        ("Sun, 01 Mar 2026 13:00:30 +0100", timedelta(minutes=0, seconds=30)),
        ("Sun, 01 Mar 2026 11:00:00 GMT", timedelta()),
        ("Sun, 01 Mar 2026 12:00:30", None),
        ("Sun, 01 Mar 2099 12:00:00 GMT", LONGEST_RETRY_AFTER),
        ("86400", LONGEST_RETRY_AFTER),
        ("9" * 30, LONGEST_RETRY_AFTER),
        ("9" * 5000, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_within_reason(
    value: str | None, wait: timedelta | None
) -> None:
    assert parse_retry_after(value, NOW) == wait


async def test_a_call_carries_our_name_and_the_correlation_id(stand_ins: StandIns) -> None:
    overseerr = Upstream("Overseerr", stand_ins.overseerr.url)
    with structlog.contextvars.bound_contextvars(correlation_id="c-1"):
        await overseerr.call("POST", "/api/v1/status", body={"a": 1})
    await overseerr.call("GET", "/api/v1/status")
    await overseerr.aclose()

    traced, untraced = await stand_ins.overseerr.calls()

    assert traced.headers["x-correlation-id"] == "c-1"
    assert traced.headers["user-agent"].startswith("MediaNest/")
    assert traced.headers["content-type"] == "application/json"
    assert traced.body == {"a": 1}
    assert "x-correlation-id" not in untraced.headers
    assert "content-type" not in untraced.headers


async def test_an_answer_is_given_whatever_its_status(stand_ins: StandIns) -> None:
    overseerr = Upstream("Overseerr", stand_ins.overseerr.url)
    await stand_ins.overseerr.fail(Status(status=503, body={"x": 1}, headers={"Retry-After": "3"}))

    answer = await overseerr.call("GET", "/")
    await overseerr.aclose()

    assert (answer.status, answer.read(dict[str, int])) == (503, {"x": 1})
    assert answer.retry_after == timedelta(seconds=3)


@pytest.mark.parametrize(
    ("fault", "failure", "sentence"),
    [
        (Refuse(), Unreachable, "Overseerr cannot be reached."),
        (Drop(), Unreachable, "Overseerr cannot be reached."),
        (Hang(), TimedOut, "Overseerr did not answer in time."),
        (
            Status(status=200, body="x", headers={"Content-Encoding": "gzip"}),
            Unintelligible,
            "Overseerr gave an answer that makes no sense.",
        ),
    ],
)
async def test_a_failed_call_says_how_without_naming_the_host(
    stand_ins: StandIns,
    fault: Refuse | Drop | Hang | Status,
    failure: type[Exception],
    sentence: str,
) -> None:
    timeout = 0.1 if isinstance(fault, Hang) else TIMEOUT
    overseerr = Upstream("Overseerr", stand_ins.overseerr.url, timeout=timeout)
    await stand_ins.overseerr.fail(fault)

    with pytest.raises(failure) as raised:
        await overseerr.call("GET", "/api/v1/status")
    await overseerr.aclose()

    assert str(raised.value) == sentence


@pytest.mark.parametrize("fault", [Garbage(), Garbage(html=True), Status(status=200, body=[1])])
async def test_an_answer_that_is_not_the_protocols_is_unintelligible(
    stand_ins: StandIns, fault: Garbage | Status
) -> None:
    overseerr = Upstream("Overseerr", stand_ins.overseerr.url)
    await stand_ins.overseerr.fail(fault)

    answer = await overseerr.call("GET", "/")
    await overseerr.aclose()

    with pytest.raises(Unintelligible, match="makes no sense"):
        answer.read(dict[str, int])
