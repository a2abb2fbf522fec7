"""Lines of Envoy's access log: Istio's text format, and JSON as Istio and Envoy Gateway write it.

Sources: istio/istio 1.32 pilot/pkg/model/log.go (EnvoyTextLogFormat, EnvoyJSONLogFormatIstio);
envoyproxy/gateway 1.9 internal/xds/translator/accesslog.go.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from gwdoctor.evidence.cleaning import one_line

#: A line longer than this is no access log.
LONGEST = 16_384


@dataclass(frozen=True, slots=True)
class Request:
    """One request or connection, as Envoy saw it. `-` is an empty string here."""

    method: str = ""
    path: str = ""  #: without its query
    protocol: str = ""
    code: int = 0
    flags: frozenset[str] = frozenset()
    details: str = ""
    failure: str = ""  #: of the transport to the upstream
    authority: str = ""
    upstream_host: str = ""
    upstream_cluster: str = ""
    downstream_local: str = ""
    downstream_remote: str = ""
    server_name: str = ""  #: SNI
    route: str = ""

    @property
    def host(self) -> str:
        """The authority without its port, in lower case."""
        return host_of(self.authority)

    def __str__(self) -> str:
        """Everything that tells something and is no secret, in one line."""
        request = " ".join(part for part in (self.method, self.path, self.protocol) if part)
        told = {
            "authority": self.authority,
            "sni": self.server_name,
            "upstream": self.upstream_host,
            "cluster": self.upstream_cluster,
            "to": self.downstream_local,
            "from": self.downstream_remote,
            "route": self.route,
            "failure": self.failure,
        }
        parts = [
            f'"{request or "-"}"',
            str(self.code),
            ",".join(sorted(self.flags)) or "-",
            self.details or "-",
            *(f"{key}={value}" for key, value in told.items() if value),
        ]
        return " ".join(parts)


def host_of(authority: str) -> str:
    """A host without its port and last dot, in lower case."""
    name = authority.lower()
    if name.startswith("["):
        return name.partition("]")[0].lstrip("[")
    return name.partition(":")[0].rstrip(".")


#: Neither the path nor the user agent is escaped: what stands after them is found from the end.
_TEXT = re.compile(
    r'\[[^\]]+\] "(?P<method>\S+) (?P<path>\S+) (?P<protocol>\S+)" (?P<code>\d{1,3})'
    r" (?P<flags>\S+) (?P<details>\S+) \S+"
    r' "(?P<failure>[^"]*)" \d+ \d+ \d+ \S+ .*'
    r' "(?P<authority>[^"]*)" "(?P<upstream_host>[^"]*)" (?P<upstream_cluster>\S+) \S+'
    r" (?P<downstream_local>\S+) (?P<downstream_remote>\S+) (?P<server_name>\S+) (?P<route>\S+)$"
)
#: Where Envoy Gateway's names differ from Istio's, and what each is here.
_KEYS = {
    "method": "method",
    "path": "path",
    "x-envoy-origin-path": "path",
    "protocol": "protocol",
    "response_code": "code",
    "response_flags": "flags",
    "response_code_details": "details",
    "upstream_transport_failure_reason": "failure",
    "authority": "authority",
    ":authority": "authority",
    "upstream_host": "upstream_host",
    "upstream_cluster": "upstream_cluster",
    "downstream_local_address": "downstream_local",
    "downstream_remote_address": "downstream_remote",
    "requested_server_name": "server_name",
    "route_name": "route",
}


def read(line: str) -> Request | None:
    """The request that a line tells of; None for any other line."""
    line = line.strip()
    if len(line) > LONGEST:
        return None
    if line.startswith("{"):
        return _from_json(line)
    found = _TEXT.match(line)
    return _request(found.groupdict()) if found else None


def kept(request: Request) -> str:
    """What is kept of a line: the same request, and nothing that `Request` does not tell."""
    told: dict[str, Any] = {
        key: getattr(request, name) for key, name in _KEYS.items() if key in _ISTIO
    }
    told["response_flags"] = ",".join(sorted(request.flags))
    return json.dumps(
        {key: value for key, value in told.items() if value or key == "response_code"}
    )


_ISTIO = frozenset(_KEYS) - {"x-envoy-origin-path", ":authority"}


def _from_json(line: str) -> Request | None:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or "response_code" not in fields:
        return None
    told = {name: fields[key] for key, name in _KEYS.items() if fields.get(key) is not None}
    return _request(told)


def _request(told: dict[str, Any]) -> Request | None:
    texts = {
        key: one_line(value) if isinstance(value, str) and value != "-" else ""
        for key, value in told.items()
        if key not in ("code", "flags")
    }
    texts["path"] = texts.get("path", "").partition("?")[0]
    code, flags = told.get("code"), told.get("flags")
    if isinstance(code, str) and code.isdecimal():
        code = int(code)
    return Request(
        **texts,
        code=code if isinstance(code, int) else 0,
        flags=frozenset(flags.split(",")) - {"-", ""} if isinstance(flags, str) else frozenset(),
    )
