"""Webhooks and probes go to what they looked at, and never to what answers with credentials."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest

from gwdoctor.source import addresses, streams
from gwdoctor.source.addresses import Refused, checked, is_never_connected_to, resolve
from gwdoctor.source.deadline import Deadline

METADATA = (
    *("169.254.169.254", "169.254.170.2", "fe80::1", "fd00:ec2::254", "fd20:ce::254"),
    *("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:42::42"),
)
#: The same IPv4 address, as IPv6 has it: mapped, translated, tunnelled.
SPELLINGS = (
    *("::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::169.254.169.254", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:5601:5601"),
)
NO_MACHINE = ("0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "ff02::1", "255.255.255.255")
#: What `inet_aton`, and with it the look-up of names, takes for 169.254.169.254.
NUMBERS = ("2852039166", "0xA9FEA9FE", "0251.0376.0251.0376", "0xa9.254.43518", "169.16689662")


@pytest.mark.parametrize("ip", [*METADATA, *SPELLINGS, *NO_MACHINE])
def test_what_is_never_connected_to(ip: str) -> None:
    assert is_never_connected_to(ipaddress.ip_address(ip))
    everywhere = [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
    for allowed in ([], everywhere):
        with pytest.raises(Refused, match="never connected to"):
            checked(ip, allowed)


@pytest.mark.parametrize(
    "ip", ["10.0.0.1", "192.168.1.1", "8.8.8.8", "fd12::1", "2a00:1450::1", "64:ff9b::808:808"]
)
def test_other_addresses_are_connected_to(ip: str) -> None:
    assert not is_never_connected_to(ipaddress.ip_address(ip))
    assert checked(ip, [])


@pytest.mark.parametrize("ip", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_a_probe_does_not_ask_this_machine_unless_it_is_told_to(ip: str) -> None:
    assert not is_never_connected_to(ipaddress.ip_address(ip))
    with pytest.raises(Refused, match="this machine"):
        checked(ip, [])
    local = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")]
    assert checked(ip, local)


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts of the connections that are made."""
    made: list[str] = []

    def connect(address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:
        made.append(address[0])
        return socket.socket()

    monkeypatch.setattr(socket, "create_connection", connect)
    return made


def probe(host: str) -> None:
    streams.Tcp(host, 443, [], Deadline(1.0)).close()


@pytest.mark.parametrize("host", [*METADATA, *SPELLINGS, *NUMBERS, "fe80::1%lo"])
def test_no_spelling_leads_a_probe_to_a_metadata_service(host: str, connected: list[str]) -> None:
    with pytest.raises(Refused):
        probe(host)

    assert not connected


def test_a_probe_goes_to_the_address_that_was_looked_at(
    connected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status of a Gateway may name a host whose owner answers otherwise the second time."""
    answers = [["10.0.0.7"], ["169.254.169.254"]]

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, (ip, port)) for ip in answers.pop(0)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    probe("rebinding.example.com")
    with pytest.raises(Refused, match="never connected to"):
        probe("rebinding.example.com")

    assert connected == ["10.0.0.7"]
    assert not answers


@pytest.mark.parametrize("text", ["", "not an address", "10.0.0.1/8", "1.2.3"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(Refused, match="is no address"):
        checked(text, [])


def test_what_is_connected_to_is_the_ipv4_address_that_was_meant() -> None:
    assert addresses.checked("::ffff:10.0.0.7", []) == "10.0.0.7"


def test_allow_narrows() -> None:
    ours = (ipaddress.ip_network("203.0.113.0/24"),)

    assert checked("203.0.113.7", ours) == "203.0.113.7"
    assert checked("10.1.2.3", ()) == "10.1.2.3"
    with pytest.raises(Refused, match="outside --probe-allow"):
        checked("10.1.2.3", ours)


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(Refused, match="cannot be resolved"):
        resolve("does-not-exist.invalid", 443)
    with pytest.raises(Refused):
        resolve("a" * 300, 443)
