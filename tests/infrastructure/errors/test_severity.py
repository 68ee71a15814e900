import psycopg
import pytest
import redis.exceptions

from application.ports import CatalogueUnavailable, StoreUnavailable, UnreadableStream
from domain.media_requests import NotRequested
from infrastructure.errors.severity import is_critical
from infrastructure.subscriptions.subscriber import Fenced


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError(),
        KeyError("x"),
        UnreadableStream(),
        psycopg.errors.UndefinedTable(),
        psycopg.errors.DiskFull(),
        redis.exceptions.ResponseError(),
    ],
    ids=repr,
)
def test_a_person_must_look_at_what_nobody_expected(error: Exception) -> None:
    assert is_critical(error)


@pytest.mark.parametrize(
    "error",
    [
        NotRequested(),
        StoreUnavailable("away"),
        CatalogueUnavailable("away"),
        Fenced("taken over"),
        psycopg.OperationalError("connection refused"),
        psycopg.InterfaceError("the connection is closed"),
        psycopg.errors.AdminShutdown(),
        psycopg.errors.CannotConnectNow(),
        psycopg.errors.ConnectionException(),
        redis.exceptions.ConnectionError(),
        redis.exceptions.TimeoutError(),
        redis.exceptions.BusyLoadingError(),
    ],
    ids=repr,
)
def test_nobody_must_look_at_what_comes_back_by_itself(error: Exception) -> None:
    assert not is_critical(error)
