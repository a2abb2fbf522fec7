"""Host names: three rules for `*` that are easily taken for one.

All comparisons ignore case. Names carry no port and no trailing dot.
"""

from __future__ import annotations

from functools import lru_cache


def san_covers(san: str, host: str) -> bool:
    """Whether a DNS subjectAltName covers a host: `*` stands for exactly one left-most label.

    A wildcard host is covered only by the same wildcard. Source: RFC 9525 section 6.3, which
    Chromium, Firefox and Go follow; the common name does not count.
    """
    return san.lower().rstrip(".") in names_that_cover(host)


def sans_cover(sans: tuple[str, ...] | list[str], host: str) -> bool:
    """Whether any of these subjectAltNames covers the host: see `san_covers`."""
    known = _known(tuple(sans))
    return any(name in known for name in names_that_cover(host))


def names_that_cover(host: str) -> tuple[str, ...]:
    """The subjectAltNames that cover a host, lower case: see `san_covers`."""
    host = host.lower().rstrip(".")
    label, _, rest = host.partition(".")
    return (host, f"*.{rest}") if label[:1] not in ("", "*") else (host,)


@lru_cache(maxsize=1024)  # a certificate may have thousands of names, and as many hosts ask
def _known(sans: tuple[str, ...]) -> frozenset[str]:
    return frozenset(san.lower().rstrip(".") for san in sans)


def suffix_covers(pattern: str, host: str) -> bool:
    """Whether a pattern covers a host where `*` stands for any number of labels, at least one.

    `*` alone covers everything. A wildcard host is covered when all of its names are. Source:
    Gateway API hostname matching (gateway-api apis/v1/shared_types.go); Istio `host.Name.SubsetOf`
    (pkg/config/host/name.go).
    """
    pattern, host = pattern.lower(), host.lower()
    if pattern in ("*", host):
        return True
    if not pattern.startswith("*."):
        return False
    return host.removeprefix("*").endswith(pattern[1:]) and host != pattern[2:]


def overlap(first: str, second: str) -> bool:
    """Whether some name is matched by both. `*` alone and an empty name match everything.

    Source: Istio `host.Name.Matches` (pkg/config/host/name.go).
    """
    if not first or not second:
        return True
    return suffix_covers(first, second) or suffix_covers(second, first)


def intersection(first: str, second: str) -> str | None:
    """The narrower of two overlapping patterns, None where no name is matched by both.

    An empty pattern stands for all names. Source: Gateway API hostname intersection.
    """
    if not first or not second:
        return first or second
    if suffix_covers(first, second):
        return second.lower()
    if suffix_covers(second, first):
        return first.lower()
    return None


def registrable(host: str) -> str:
    """A rough "site" of a name: its last two labels. For severity only, never for a verdict."""
    return ".".join(host.lower().rstrip(".").rsplit(".", 2)[-2:])


def specificity(pattern: str) -> tuple[bool, int]:
    """Sorts host patterns: an exact name above wildcards, a longer above a shorter, "" last."""
    return (bool(pattern) and not pattern.startswith("*"), len(pattern))
