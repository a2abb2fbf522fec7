"""Which rule of which HTTPRoute gets a request, where several could; and redirects to themselves.

Rules: gateway-api apis/v1/httproute_types.go (precedence of matches, HTTPRequestRedirectFilter).
"""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gwdoctor import kinds
from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Field, Fix, Resource
from gwdoctor.resolve import gateway_api
from gwdoctor.resolve.gateway_api import Listener, Parent

#: What `rules_by_match` and `loops` read, for a check whose subject is the HTTPRoute.
NEEDS = (kinds.GATEWAY, kinds.LISTENER_SET, kinds.NAMESPACE)
#: What every flavour of regular expressions refuses, in the words of Python's.
_FATAL = ("nothing to repeat", "missing )", "unterminated", "unbalanced parenthesis")
_STANDARD_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Place:
    """One way to ask: a listener, a host name there and everything a match tests."""

    listener: Field
    hostname: str
    match: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a route that takes such requests, unless one before it in the order does."""

    route: Resource
    field: Field
    match: Field


def rules_by_match(cluster: Cluster) -> Mapping[Place, Sequence[Rule]]:
    """The HTTPRoute rules with equal matches, the one that gets the requests first.

    Oldest route first, then namespace and name, then the order within the route.
    """
    return cluster.derive(_rules_by_match)


def _rules_by_match(cluster: Cluster) -> Mapping[Place, Sequence[Rule]]:
    found: dict[Place, list[Rule]] = defaultdict(list)
    for route in sorted(
        cluster[kinds.HTTP_ROUTE], key=lambda r: (r.created or "~", r.namespace, r.name)
    ):
        try:
            parents = gateway_api.parents(route, cluster)
        except OutOfView:
            continue  # where it attaches is not known; who asks about this route will be told
        rules = list(_rules(route))
        for place in _places(route, parents):
            for rule, key in rules:
                found[Place(*place, key)].append(rule)
    return found


def _places(route: Resource, parents: Sequence[Parent]) -> list[tuple[Field, str]]:
    return list(
        {
            (listener.field, name): None
            for parent in parents
            for listener in parent.attached
            for name in gateway_api.shared_hostnames(listener, route)
        }
    )


def _rules(route: Resource) -> Iterator[tuple[Rule, str]]:
    for rule in route.each("spec", "rules"):
        seen = set()
        for match in matches(rule):
            key = match_key(match)
            if key not in seen:
                seen.add(key)
                yield Rule(route, rule, match), key


def matches(rule: Field) -> list[Field]:
    """The matches of a rule; one that tests nothing where there are none."""
    return list(rule.each("matches")) or [rule.at("matches")]


def match_key(match: Field) -> str:
    """All that a match tests, as text that is equal where the tests are."""
    tests: dict[str, Any] = {
        "path": [match.text("path", "type") or "PathPrefix", match.text("path", "value") or "/"],
        "method": match.text("method"),
    }
    for part in ("headers", "queryParams"):
        tests[part] = sorted(canonical(item.value) for item in match.each(part))
    return canonical(tests)


def canonical(value: Any) -> str:
    """Plain data as text that is equal where the data are, whatever the order of their keys."""
    return msgspec.json.encode(value, order="deterministic").decode()


def regex_problem(expression: str) -> str:
    """Why no flavour compiles this expression; empty where some may."""
    try:
        with warnings.catch_warnings():  # what Python means to change does not matter here
            warnings.simplefilter("ignore")
            re.compile(expression)
    except re.error as error:
        return error.msg if error.msg.startswith(_FATAL) else ""
    except (RecursionError, OverflowError):
        return ""
    return ""


@dataclass(frozen=True, slots=True)
class Loop:
    """A redirect that sends the client to where it already is.

    `is_shadowed`: an older rule takes all these requests first, so that nobody notices yet.
    """

    parent: Parent
    listener: Listener
    redirect: Field
    is_shadowed: bool


def loops(
    route: Resource, cluster: Cluster, scheme_of: Callable[[Listener], str]
) -> Iterator[Loop]:
    """The redirects of a route that loop, given the scheme by which clients reach a listener.

    An empty scheme leaves a listener out. Only redirects that keep the path are judged.
    """
    for parent in gateway_api.parents(route, cluster):
        for listener in parent.attached:
            scheme = scheme_of(listener)
            if not scheme:
                continue
            for rule in route.each("spec", "rules"):
                for step in rule.each("filters"):
                    redirect = step.at("requestRedirect")
                    if redirect.has() and _leads_back(redirect, listener, route, scheme):
                        shadowed = _is_shadowed(rule, route, listener, cluster)
                        yield Loop(parent, listener, redirect, shadowed)


def _leads_back(redirect: Field, listener: Listener, route: Resource, scheme: str) -> bool:
    if redirect.has("path"):
        return False
    own_scheme = "https" if listener.protocol in ("HTTPS", "TLS") else "http"
    asked = redirect.text("scheme").lower()
    port = redirect.number("port")
    if port is None:
        port = _STANDARD_PORTS.get(asked) if asked else listener.port
    if (asked or own_scheme) != scheme or port != listener.port:
        return False
    hostname = redirect.text("hostname")
    # Without any host name on route and listener nobody knows whether the new host leads here.
    return not hostname or hostname in gateway_api.shared_hostnames(listener, route)


def _is_shadowed(rule: Field, route: Resource, listener: Listener, cluster: Cluster) -> bool:
    index = rules_by_match(cluster)
    return all(
        (found := index.get(Place(listener.field, name, match_key(match))))
        and found[0].field != rule
        for name in gateway_api.shared_hostnames(listener, route)
        for match in matches(rule)
    )


def bound_to_clear_text(
    route: Resource, parent: Parent, cluster: Cluster, scheme_of: Callable[[Listener], str]
) -> Fix | None:
    """The route bound to the listener where its redirect is needed, by sectionName.

    None where it also has backends (it has to be split), or where that listener is not obvious.
    """
    owner = parent.owner
    has_backends = any(any(rule.each("backendRefs")) for rule in route.each("spec", "rules"))
    if owner is None or has_backends:
        return None
    clear = [
        one
        for one in gateway_api.listeners(owner)
        if one.protocol == "HTTP"
        and scheme_of(one) != "https"
        and one.name
        and gateway_api.attaches(one, route, cluster)
    ]
    clear = [one for one in clear if one.port == 80] or clear
    if len(clear) != 1:
        return None
    section = clear[0].name
    references: list[Any] = []
    for reference in route.each("spec", "parentRefs"):
        plain = dict(reference.value) if isinstance(reference.value, dict) else {}
        if reference == parent.field:
            plain.pop("port", None)
            plain["sectionName"] = section
        if plain not in references:
            references.append(plain)
    change = route.changed("spec", "parentRefs", to=references)
    return Fix(f"Bind the redirect to listener {section} alone", (change,), needs_review=True)
