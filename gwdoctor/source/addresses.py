"""Where a probe may connect to: what the cluster names, and never what stands beside its machines."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: Link-local addresses, where clouds keep their metadata services, and such services elsewhere
#: (AWS by IPv6, Azure, Alibaba); "this network".
_NEVER = tuple(
    map(
        ipaddress.ip_network,
        (
            *("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "0.0.0.0/8"),
            *("168.63.129.16/32", "100.100.100.200/32"),
        ),
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


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
    """The address, if it may be connected to. Raises Refused.

    `allowed` narrows, where it is given; only it lets loopback addresses in.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        raise Refused(f"{address} is no address") from None
    ip = _meant(ip)
    if any(ip in network for network in _NEVER) or ip.is_multicast or ip.is_unspecified:
        raise Refused(f"{ip} is never connected to: link-local, metadata or no single host")
    if any(ip in network for network in allowed):
        return str(ip)
    if allowed:
        raise Refused(f"{ip} is outside --probe-allow")
    if ip.is_loopback:
        raise Refused(f"{ip} is this machine, not the cluster (see --probe-allow)")
    return str(ip)


def _meant(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip
