"""Annotations of Kong: which it reads, on what, with which values, and those it never had.

Source: KIC internal/annotations/annotations.go and internal/dataplane/kongstate (main 1fa68f864).
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.model import Field, Kind, Resource, Severity

PREFIX = "konghq.com/"
#: Kinds that become routes of Kong.
ROUTES = (
    kinds.INGRESS,
    kinds.HTTP_ROUTE,
    kinds.GRPC_ROUTE,
    kinds.TLS_ROUTE,
    kinds.TCP_ROUTE,
    kinds.UDP_ROUTE,
    kinds.TCP_INGRESS,
    kinds.UDP_INGRESS,
)
#: Kinds whose annotations Kong reads, or that people write them on.
HOLDERS = (kinds.SERVICE, *ROUTES, kinds.GATEWAY, kinds.GATEWAY_CLASS, kinds.SECRET)

_SERVICE_KEYS = frozenset(
    {
        "protocol",
        "path",
        "client-cert",
        "host-header",
        "connect-timeout",
        "read-timeout",
        "write-timeout",
        "retries",
        "tls-verify",
        "tls-verify-depth",
        "ca-certificates-secrets",
        "ca-certificates-configmaps",
        "upstream-policy",
        "override",
    }
)
_ROUTE_KEYS = frozenset(
    {
        "protocols",
        "strip-path",
        "preserve-host",
        "https-redirect-status-code",
        "regex-priority",
        "regex-prefix",
        "methods",
        "snis",
        "request-buffering",
        "response-buffering",
        "host-aliases",
        "headers-separator",
        "path-handling",
        "rewrite",
    }
)
_BOTH = frozenset(("plugins", "tags"))
_GATEWAY_KEYS = frozenset(("publish-service",))
_CLASS_KEYS = frozenset(("gatewayclass-unmanaged",))
_LABELS = frozenset(("ca-cert", "credential", "validate", "configmap"))
KNOWN = _SERVICE_KEYS | _ROUTE_KEYS | _BOTH | _GATEWAY_KEYS | _CLASS_KEYS | _LABELS


@dataclass(frozen=True, slots=True)
class Meant:
    """What somebody who writes a key that Kong does not have wants, and where that is said."""

    instead: str  #: the key, without the prefix
    on: str  #: what it stands on
    severity: Severity = Severity.MEDIUM


_NEVER_EXISTED: Mapping[str, Meant] = {
    "backend-protocol": Meant("protocol", "the Service"),
    "verify": Meant("tls-verify", "the Service"),
    "gateway-unmanaged": Meant("gatewayclass-unmanaged", "the GatewayClass", Severity.HIGH),
    "plugin": Meant("plugins", "the route or Service", Severity.HIGH),
    "strip_path": Meant("strip-path", "the route"),
    "preserve_host": Meant("preserve-host", "the route"),
    "ca-certificate": Meant("ca-certificates-secrets", "the Service"),
    "ca-certificates": Meant("ca-certificates-secrets", "the Service"),
    "ca-certificates-secret": Meant("ca-certificates-secrets", "the Service"),
    "sni": Meant("snis", "the route"),
    "method": Meant("methods", "the route"),
    "host-alias": Meant("host-aliases", "the route"),
    "https-redirect": Meant("https-redirect-status-code", "the route"),
    "timeout": Meant("read-timeout", "the Service"),
}
#: Whole keys of releases before 2.0.
_OBSOLETE: Mapping[str, Meant] = {
    "configuration.konghq.com": Meant("override", "the Service"),
    "plugins.konghq.com": Meant("plugins", "the route or Service", Severity.HIGH),
}


def of(resource: Resource) -> Iterator[tuple[str, Field]]:
    """Kong's annotations of a resource: the key without its prefix, and the field."""
    for key, field in resource.entries("metadata", "annotations"):
        if key.startswith(PREFIX):
            yield key.removeprefix(PREFIX), field


def meant_by(key: str) -> Meant | None:
    """What a whole key that Kong does not know stands for; None for known and unheard-of ones.

    Only close misses count: a later release may well read a key that is not listed here.
    """
    if key in _OBSOLETE:
        return _OBSOLETE[key]
    short = key.removeprefix(PREFIX)
    if not key.startswith(PREFIX) or is_known(short):
        return None
    if short in _NEVER_EXISTED:
        return _NEVER_EXISTED[short]
    close = difflib.get_close_matches(short, sorted(KNOWN), n=1, cutoff=0.85)
    if not close:
        return None
    severity = Severity.HIGH if close[0] == "plugins" else Severity.MEDIUM
    return Meant(close[0], home(close[0]), severity)


def is_known(short: str) -> bool:
    """Whether Kong reads this key on anything."""
    return short in KNOWN or short.startswith("headers.")


def home(short: str) -> str:
    """What a key stands on, in words."""
    if short in _SERVICE_KEYS:
        return "the Service"
    if short in _ROUTE_KEYS or short.startswith("headers."):
        return "the route"
    if short in _BOTH:
        return "the route or Service"
    if short in _LABELS:
        return "a Secret or ConfigMap, as a label"
    return "the Gateway" if short in _GATEWAY_KEYS else "the GatewayClass"


def reads(kind: Kind, short: str) -> bool:
    """Whether Kong reads this known key on this kind."""
    if kind == kinds.SERVICE:
        return short in _SERVICE_KEYS | _BOTH
    if kind in ROUTES:
        return short in _ROUTE_KEYS | _BOTH or short.startswith("headers.")
    if kind == kinds.GATEWAY:
        return short in _GATEWAY_KEYS
    return kind == kinds.GATEWAY_CLASS and short in _CLASS_KEYS


# --- values ------------------------------------------------------------------------------

_HOST = re.compile(r"^(\*\.)?[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*(\.[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*)*(\.\*)?$")
_SNI = re.compile(r"^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*(\.[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*)*$")
_PARSE_BOOL = ("1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False")


@dataclass(frozen=True, slots=True)
class Form:
    """The values that a key takes. Any other is ignored without an event."""

    fits: Callable[[str], bool]
    wanted: str
    severity: Severity = Severity.MEDIUM


def parse_bool(value: str) -> bool | None:
    """As Go's strconv.ParseBool; None where it refuses."""
    return None if value not in _PARSE_BOOL else value in _PARSE_BOOL[:6]


def _integer(value: str) -> bool:
    return bool(re.fullmatch(r"[+-]?\d+", value))


def _each(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda value: all(pattern.match(item) for item in value.split(","))


_MILLISECONDS = Form(_integer, "whole milliseconds without a unit")
_TRUE_FALSE = Form(lambda value: value.lower() in ("true", "false"), "true or false")
_GO_BOOL = Form(lambda value: parse_bool(value.lower()) is not None, "true or false")
_PROTOCOLS = re.compile(r"(https?|grpcs?|wss?|tls|tcp|tls_passthrough)\Z")
FORMS: Mapping[str, Form] = {
    "protocols": Form(
        _each(_PROTOCOLS), "http, https, grpc, grpcs, ... in lower case, with commas and no spaces"
    ),
    "connect-timeout": _MILLISECONDS,
    "read-timeout": _MILLISECONDS,
    "write-timeout": _MILLISECONDS,
    "retries": Form(_integer, "a whole number"),
    "tls-verify": Form(lambda v: parse_bool(v) is not None, "true or false", Severity.HIGH),
    "tls-verify-depth": Form(_integer, "a whole number"),
    "path": Form(lambda value: value.startswith("/"), "a path that starts with /"),
    "strip-path": _TRUE_FALSE,
    "preserve-host": _TRUE_FALSE,
    "request-buffering": _GO_BOOL,
    "response-buffering": _GO_BOOL,
    "https-redirect-status-code": Form(
        lambda value: value in ("301", "302", "307", "308", "426"), "301, 302, 307, 308 or 426"
    ),
    "regex-priority": Form(_integer, "a whole number"),
    "methods": Form(
        _each(re.compile(r"[A-Za-z]+\Z")), "names of methods, with commas and no spaces"
    ),
    "snis": Form(_each(_SNI), "host names, with commas, no spaces and no wildcard"),
    "host-aliases": Form(_each(_HOST), "host names, with commas and no spaces"),
}


def annotate(kind: Kind, namespace: str, name: str, *changes: str) -> str:
    """A kubectl line that sets annotations `key=value` and takes away `key-`."""
    return _edit("annotate", kind, namespace, name, changes)


def label(resource: Resource, *changes: str) -> str:
    """A kubectl line that sets labels `key=value`.

    For Secrets: of these no manifest can be made, as their values are not kept.
    """
    return _edit("label", resource.ref.kind, resource.namespace, resource.name, changes)


def _edit(verb: str, kind: Kind, namespace: str, name: str, changes: tuple[str, ...]) -> str:
    where = f"-n {shlex.quote(namespace)} " if namespace else ""
    words = " ".join(shlex.quote(change) for change in changes)
    return f"kubectl {where}{verb} --overwrite {str(kind).lower()} {shlex.quote(name)} {words}"
