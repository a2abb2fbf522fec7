"""HTTPRoute and GRPCRoute: which rule takes a request, and what its filters do with it.

Rules: gateway-api 1.6 apis/v1/httproute_types.go. The place of regular expressions is for each
controller to choose: Envoy Gateway internal/gatewayapi/sort.go, Istio
pilot/pkg/config/kube/gateway/conversion.go (sortHTTPRoutes).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from gwdoctor import kinds
from gwdoctor.model import Field, Resource
from gwdoctor.resolve import hosts, http_matches
from gwdoctor.walk import matching
from gwdoctor.walk.hops import Hop, Redirect
from gwdoctor.walk.request import PORTS, Request, is_address

#: The rank of a path test by controller: the higher comes first. Others: as the API says.
_RANKS = {
    "envoy": {"Exact": 3, "RegularExpression": 2, "PathPrefix": 1},
    "istio": {"Exact": 3, "PathPrefix": 2, "RegularExpression": 1},
    "other": {"Exact": 3, "PathPrefix": 2, "RegularExpression": 1},
}


@dataclass(frozen=True, slots=True)
class Match:
    """A match of a rule, and the answer to the request: None where it is not known."""

    route: Resource
    rule: Field
    field: Field
    hostname: str
    passes: bool | None

    @property
    def path_type(self) -> str:
        """Exact, PathPrefix or RegularExpression."""
        if self.route.ref.kind == kinds.GRPC_ROUTE:
            kind = self.field.text("method", "type") or "Exact"
            if kind == "RegularExpression":
                return kind
            return "Exact" if self.field.text("method", "method") else "PathPrefix"
        return self.field.text("path", "type") or "PathPrefix"

    @property
    def path(self) -> str:
        """What the path is held against."""
        if self.route.ref.kind == kinds.GRPC_ROUTE:
            service, method = (self.field.text("method", k) for k in ("service", "method"))
            return f"/{service}/{method}" if service or method else "/"
        return self.field.text("path", "value") or "/"

    @property
    def number(self) -> int:
        """The position of the rule in its route."""
        step = self.rule.path[-1] if self.rule.path else 0
        return step if isinstance(step, int) else 0

    def order(self, flavour: str) -> tuple[object, ...]:
        """Sorts the match that gets the request first."""
        return (
            -_RANKS[flavour].get(self.path_type, 0),
            -len(self.path),
            not self.field.has("method") or self.route.ref.kind == kinds.GRPC_ROUTE,
            -len(self.field.each("headers")),
            -len(self.field.each("queryParams")),
            self.route.created or "~",
            self.route.namespace,
            self.route.name,
            self.number,
            self.field.path[-1] if isinstance(self.field.path[-1], int) else 0,
        )

    def __str__(self) -> str:
        parts = [f"{_WORDS.get(self.path_type, self.path_type)} {self.path}"]
        if self.route.ref.kind != kinds.GRPC_ROUTE and self.field.text("method"):
            parts.append(f"method {self.field.text('method')}")
        for part, word in (("headers", "header"), ("queryParams", "query")):
            parts += [
                f"{word} {item.text('name')}={item.text('value')}" for item in self.field.each(part)
            ]
        return ", ".join(parts)


_WORDS = {"Exact": "path exactly", "PathPrefix": "path under", "RegularExpression": "path like"}


def matches(route: Resource, hostname: str, request: Request) -> Iterator[Match]:
    """Every match of a route, and whether the request passes it."""
    rules = route.each("spec", "rules")
    for rule in rules:
        for field in http_matches.matches(rule):
            yield Match(route, rule, field, hostname, _passes(route, field, request))


def _passes(route: Resource, match: Field, request: Request) -> bool | None:
    headers = (
        _value(item, _all(request.headers.get(item.text("name").lower(), ())))
        for item in match.each("headers")
    )
    if route.ref.kind == kinds.GRPC_ROUTE:
        return matching.every((_method_of_grpc(match.at("method"), request), *headers))
    wanted = match.text("method")
    sent = request.parameters
    queries = (
        _value(item, (sent[item.text("name")],) if item.text("name") in sent else ())
        for item in match.each("queryParams")
    )
    return matching.every(
        (
            _path(match.at("path"), request.path),
            not wanted or wanted == request.method,
            *headers,
            *queries,
        )
    )


def _all(values: Iterable[str]) -> tuple[str, ...]:
    """Several headers of one name are one value with commas, for proxies as for HTTP."""
    joined = ",".join(values)
    return (joined,) if joined else ()


def _path(test: Field, path: str) -> bool | None:
    value = test.text("value") or "/"
    match test.text("type") or "PathPrefix":
        case "Exact":
            return path == value
        case "PathPrefix":
            return matching.under(value, path)
        case "RegularExpression":
            return matching.fits(value, path)
    return None


def _value(test: Field, sent: tuple[str, ...]) -> bool | None:
    if not sent:
        return False
    if test.text("type") == "RegularExpression":
        return matching.fits(test.text("value"), sent[0])
    return sent[0] == test.text("value")


def _method_of_grpc(test: Field, request: Request) -> bool | None:
    """A gRPC call is a POST to /package.Service/Method."""
    service, method = test.text("service"), test.text("method")
    if not service and not method:
        return True
    called, _, name = request.path.removeprefix("/").partition("/")
    if test.text("type") == "RegularExpression":
        return matching.every(
            matching.fits(wanted, got)
            for wanted, got in ((service, called), (method, name))
            if wanted
        )
    return service in ("", called) and method in ("", name)


# --- filters -----------------------------------------------------------------------------


def redirect_of(match: Match, request: Request, scheme: str, port: int | None) -> Redirect | None:
    """The redirect of a rule, for a request that came by this scheme to this port."""
    for step in match.rule.each("filters"):
        wanted = step.at("requestRedirect")
        if wanted.has():
            return _redirect(wanted, match, request, scheme, port)
    return None


def _redirect(
    wanted: Field, match: Match, request: Request, scheme: str, port: int | None
) -> Redirect:
    status = wanted.number("statusCode") or 302
    asked = wanted.text("scheme").lower()
    target = asked or scheme
    number = wanted.number("port")
    if number is None:
        number = PORTS.get(asked) if asked else port
    return to(
        request,
        status,
        target,
        wanted.text("hostname") or request.host,
        number,
        _new_path(wanted.at("path"), match, request.path),
    )


def to(
    request: Request, status: int, scheme: str, host: str, port: int | None, path: str
) -> Redirect:
    """A redirect to this address, and the request that a client makes of it."""
    host = host.lower()
    if scheme not in PORTS:
        return Redirect(status, f"{scheme}://{host}{path}")
    number = port or PORTS[scheme]
    keeps = status in (307, 308) or request.method in ("GET", "HEAD")
    same = host == request.host
    asked = request.sni if same and request.sni else "" if is_address(host) else host
    path, mark, query = path.partition("?")
    following = replace(
        request.over(scheme),
        host=host,
        port=number,
        path=path if path.startswith("/") else f"/{path}",
        query=query if mark else request.query,
        method=request.method if keeps else "GET",
        sni=asked if scheme == "https" else "",
        address=request.address if same else "",
        scheme_is_given=True,
    )
    return Redirect(status, following.url, following)


def _new_path(change: Field, match: Match, path: str) -> str:
    match change.text("type"):
        case "ReplaceFullPath":
            return change.text("replaceFullPath") or "/"
        case "ReplacePrefixMatch":
            rest = path[len(match.path.rstrip("/")) :].lstrip("/")
            new = (change.text("replacePrefixMatch") or "/").rstrip("/")
            return f"{new}/{rest}" if rest or not new else new
    return path


def filters(match: Match, request: Request) -> Iterator[Hop]:
    """What the filters of a rule do, but for the redirect."""
    for step in match.rule.each("filters"):
        kind = step.text("type")
        match kind:
            case "RequestRedirect":
                continue
            case "URLRewrite":
                yield Hop("filter", _rewrite(step.at("urlRewrite"), match, request), step)
            case "RequestHeaderModifier" | "ResponseHeaderModifier":
                key = "requestHeaderModifier"
                part = step.at(key if kind.startswith("Request") else "responseHeaderModifier")
                yield Hop("filter", f"{_side(kind)} headers: {_headers(part)}", step)
            case "RequestMirror":
                backend = step.at("requestMirror", "backendRef")
                yield Hop("filter", f"a copy of it goes to {backend.text('name')}", step)
            case "ExtensionRef":
                named = step.at("extensionRef")
                hop = Hop("filter", f"{named.text('kind')} {named.text('name')}", step)
                hop.unverified = "what an extension does is not evaluated"
                yield hop
            case _:
                yield Hop("filter", kind or "a filter without a type", step)


def _side(kind: str) -> str:
    return "request" if kind.startswith("Request") else "response"


def _headers(part: Field) -> str:
    told = [
        f"{verb} {', '.join(i.text('name') for i in part.each(verb))}"
        for verb in ("set", "add")
        if part.each(verb)
    ]
    if part.texts("remove"):
        told.append(f"remove {', '.join(part.texts('remove'))}")
    return "; ".join(told) or "nothing"


def _rewrite(part: Field, match: Match, request: Request) -> str:
    told = []
    if part.text("hostname"):
        told.append(f"Host {part.text('hostname')}")
    if part.has("path"):
        told.append(f"path {_new_path(part.at('path'), match, request.path)}")
    return f"the backend is asked for {' and '.join(told) or 'the same'}"


def best_host(names: Iterable[str], host: str) -> str | None:
    """The most specific of these patterns that covers a host; "" is any; None where none does."""
    fitting = [name for name in names if not name or hosts.suffix_covers(name, host)]
    return max(fitting, key=hosts.specificity, default=None)
