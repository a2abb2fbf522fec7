"""Where a probe may connect to: what the cluster names, and never what stands beside its machines."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: Link-local addresses, where clouds keep their metadata services, and AWS's of IPv6.
_NEVER = tuple(
    map(ipaddress.ip_network, ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "0.0.0.0/8"))
)


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
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if any(ip in network for network in _NEVER) or ip.is_multicast or ip.is_unspecified:
        raise Refused(f"{ip} is never connected to: link-local, metadata or no single host")
    if any(ip in network for network in allowed):
        return str(ip)
    if allowed:
        raise Refused(f"{ip} is outside --probe-allow")
    if ip.is_loopback:
        raise Refused(f"{ip} is this machine, not the cluster (see --probe-allow)")
    return str(ip)
