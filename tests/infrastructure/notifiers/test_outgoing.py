"""Where messages may go, and where not."""

import socket
from typing import Any

import pytest

from application.ports.notifiers import DeliveryFailed, Undeliverable
from infrastructure.notifiers.outgoing import Outgoing
from tests.infrastructure.notifiers.receivers import HttpReceiver

NEVER = [
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/",
    "http://100.100.100.200/",
    "http://[::ffff:169.254.169.254]/",
    "http://169.254.1.1/",
    "http://[fe80::1]/",
    "http://0.0.0.0/",
    "http://[::]/",
    "http://224.0.0.1/",
    "http://2852039166/",  # 169.254.169.254 as one number
    "http://0xa9.0xfe.0xa9.0xfe/",
]
ONLY_OWN = [
    "http://127.0.0.1:1/",
    "http://[::1]:1/",
    "http://localhost:1/",
    "http://10.0.0.1/",
    "http://192.168.1.1/",
    "http://172.16.0.1/",
    "http://[fd12::1]/",
    "http://100.64.0.1/",
    "http://127.1:1/",
]


@pytest.mark.parametrize("url", NEVER)
@pytest.mark.parametrize("private", [True, False])
async def test_some_places_are_nobodys_address(url: str, private: bool) -> None:
    out = Outgoing(private=private, timeout=5)
    with pytest.raises(Undeliverable, match="may not go"):
        await out.post(url, body={})
    await out.aclose()


@pytest.mark.parametrize("url", ONLY_OWN)
async def test_ones_own_network_is_only_for_those_who_may(url: str) -> None:
    out = Outgoing(private=False, timeout=5)
    with pytest.raises(Undeliverable, match="may not go"):
        await out.post(url, body={})
    await out.aclose()


async def test_who_may_reaches_ones_own_network() -> None:
    out = Outgoing(private=True)
    async with HttpReceiver.listening() as receiver:
        await out.post(f"http://localhost:{receiver.port}/here", body={"a": 1})
        (request,) = receiver.requests
        assert request.headers["host"] == f"localhost:{receiver.port}"
        assert receiver.body == {"a": 1}
    await out.aclose()


async def test_every_address_of_a_name_is_judged_and_one_that_was_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name of several addresses, and one that points elsewhere the second time."""
    answers = [["93.184.215.14", "127.0.0.1"], ["127.0.0.1"]]

    def resolve(host: str | bytes | None, port: Any, *rest: Any, **more: Any) -> list[Any]:
        if host != "rebinding.example.org":
            return real(host, port, *rest, **more)
        found = answers.pop(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    out = Outgoing(private=False, timeout=5)
    with pytest.raises(Undeliverable, match="may not go"):
        await out.post("http://rebinding.example.org/", body={})
    await out.aclose()
    out = Outgoing(private=True, timeout=5)
    async with HttpReceiver.listening() as receiver:
        await out.post(f"http://rebinding.example.org:{receiver.port}/", body={})
        assert receiver.requests[0].headers["host"] == f"rebinding.example.org:{receiver.port}"
    assert answers == []  # it was resolved once for each call
    await out.aclose()


async def test_a_server_that_says_nothing_is_not_waited_for_for_ever() -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    out = Outgoing(private=True, timeout=0.2)
    with pytest.raises(DeliveryFailed, match="in time"):
        await out.post(f"http://127.0.0.1:{silent.getsockname()[1]}/", body={})
    silent.close()
    await out.aclose()
