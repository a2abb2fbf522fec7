"""Where a connection may go: never to what stands beside machines, whatever names it and however.

Webhooks (`outward`) and probes (`streams`) look a name up once, look at what they got, and connect
to that: a name cannot lead elsewhere between the look and the connection.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: What answers with credentials, beside link-local addresses, where clouds keep their metadata:
#: Alibaba, Azure's wire server, Oracle; AWS, GCP and Scaleway by IPv6. And "this network".
_NEVER = tuple(
    map(
        ipaddress.ip_network,
        (
            *("100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32", "0.0.0.0/8"),
            *("fd00:ec2::/32", "fd20:ce::254/128", "fd00:42::42/128", "255.255.255.255/32"),
        ),
    )
)
#: IPv6 that is IPv4 in its last bits: NAT64, with its local prefix, and a form that is obsolete.
_IN_LAST_BITS = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")))


class Refused(Exception):
    """An address that is not connected to; the text says why."""


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host. Raises Refused where there is none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Refused(f"{host} cannot be resolved") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def checked(address: str, allowed: Sequence[Network]) -> str:
    """The address, if a probe may connect to it. Raises Refused.

    `allowed` narrows, where it is given; only it lets loopback addresses in.
    """
    try:
        ip = meant(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        raise Refused(f"{address} is no address") from None
    if is_never_connected_to(ip):
        raise Refused(f"{ip} is never connected to: link-local, metadata or no single host")
    if any(ip in network for network in allowed):
        return str(ip)
    if allowed:
        raise Refused(f"{ip} is outside --probe-allow")
    if ip.is_loopback:
        raise Refused(f"{ip} is this machine, not the cluster (see --probe-allow)")
    return str(ip)


def is_never_connected_to(ip: Address) -> bool:
    """Whether it is link-local, a metadata service, or not the address of one machine."""
    ip = meant(ip)
    return (
        ip.is_link_local
        or ip.is_multicast
        or ip.is_unspecified
        or any(ip in network for network in _NEVER)
    )


def meant(ip: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(ip, ipaddress.IPv4Address) or ip.is_loopback or ip.is_unspecified:
        return ip
    if any(ip in network for network in _IN_LAST_BITS):
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else ip)
