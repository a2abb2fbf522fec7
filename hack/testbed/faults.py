"""A proxy in front of the API server that misbehaves on request and counts what passes.

with FaultProxy(control_plane).start() as proxy:
    proxy.fail("/secrets", status=403)
    proxy.reset_after(r"/pods.*continue=", 10_000)
    run("gwdoctor", "scan", f"--kubeconfig={proxy.kubeconfig('admin')}")
    assert proxy.count("/pods") == 2
"""

from __future__ import annotations

import http.client
import re
import shutil
import ssl
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from testbed import kubeconfig
from testbed.certificates import Authority
from testbed.controlplane import ControlPlane
from testbed.faultrules import Answer, Body, Exchange, Rule, Words, status_object
from testbed.faultserver import FaultServer
from testbed.launch import ADMIN


class FaultProxy:
    """An HTTPS proxy to the API server of a control plane; without rules it changes nothing."""

    def __init__(
        self, control_plane: ControlPlane, *, count_items: bool = True, version: str = "HTTP/1.1"
    ) -> None:
        self.requests: list[Exchange] = []
        self._control_plane = control_plane
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._folder = Path(tempfile.mkdtemp(prefix="gwdoctor-faults-"))
        authority = Authority(self._folder, "ca")
        certificate, key = authority.server("fault-proxy")
        self.ca_file = authority.file
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server = FaultServer(
            context,
            self._upstream,
            self._rules_for,
            self._record,
            count_items=count_items,
            version=version,
        )

    def start(self) -> Self:
        """Accept connections from now on."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """End every connection and forget the certificates."""
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where the proxy listens."""
        return f"https://127.0.0.1:{self._server.server_address[1]}"

    def kubeconfig(self, user: str = ADMIN) -> Path:
        """A kubeconfig with the token of a user of the control plane that leads through the proxy."""
        return kubeconfig.write(
            self._folder / f"{user}.kubeconfig",
            server=self.url,
            ca_file=self.ca_file,
            user=user,
            login={"token": self._control_plane.token(user)},
        )

    def fail(
        self,
        path_regex: str,
        status: int = 403,
        times: int | None = 1,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        method: str | None = None,
    ) -> Rule:
        """Answer in the server's place; without a body, with a Status as the server would."""
        content = status_object(status) if body is None else body
        answer = Answer(status, headers or {}, content)
        return self._add(Rule(re.compile(path_regex), method, times, answer=answer))

    def say(
        self,
        path_regex: str,
        content: bytes,
        times: int | None = 1,
        *,
        rate: float | None = None,
        refrain: bytes = b"",
    ) -> Rule:
        """Send these bytes in the server's place, as they are; then the refrain for ever, or hang up."""
        return self._add(
            Rule(re.compile(path_regex), None, times, answer=Words(content, rate, refrain))
        )

    def delay(self, path_regex: str, seconds: float, times: int | None = 1) -> Rule:
        """Wait before the answer; other rules for the same request hold as well."""
        return self._add(Rule(re.compile(path_regex), None, times, delay=seconds))

    def reset_after(self, path_regex: str, n_bytes: int, times: int | None = 1) -> Rule:
        """Send so much of the body, then tear the connection down with a TCP reset."""
        return self._harm(path_regex, times, Body(end=n_bytes, reset=True))

    def truncate_after(self, path_regex: str, n_bytes: int, times: int | None = 1) -> Rule:
        """Send so much of the body, then close the connection as if that were all."""
        return self._harm(path_regex, times, Body(end=n_bytes))

    def corrupt(self, path_regex: str, offset: int, times: int | None = 1) -> Rule:
        """Change 16 bytes of the body, from `offset` on."""
        return self._harm(path_regex, times, Body(corrupt=offset))

    def drip(self, path_regex: str, bytes_per_second: float, times: int | None = 1) -> Rule:
        """Send the body slowly."""
        return self._harm(path_regex, times, Body(rate=bytes_per_second))

    def endless(self, path_regex: str, times: int | None = 1) -> Rule:
        """Never come to the end of the body."""
        return self._harm(path_regex, times, Body(endless=True))

    def clear(self) -> None:
        """Forget rules and counts."""
        with self._lock:
            self._rules.clear()
            self.requests.clear()

    def count(self, path_regex: str = "") -> int:
        """How many requests there were whose path and query match."""
        return len(self._matching(path_regex))

    def bytes_served(self, path_regex: str = "") -> int:
        """How many bytes of bodies went out for requests whose path and query match."""
        return sum(each.size for each in self._matching(path_regex))

    def items_served(self, path_regex: str = "") -> int:
        """How many objects went out, in lists that came through whole."""
        return sum(each.items or 0 for each in self._matching(path_regex))

    def _matching(self, path_regex: str) -> list[Exchange]:
        with self._lock:
            return [each for each in self.requests if re.search(path_regex, each.target)]

    def _harm(self, path_regex: str, times: int | None, body: Body) -> Rule:
        return self._add(Rule(re.compile(path_regex), None, times, body=body))

    def _add(self, rule: Rule) -> Rule:
        with self._lock:
            self._rules.append(rule)
        return rule

    def _upstream(self) -> http.client.HTTPSConnection:
        server = urlsplit(self._control_plane.server)
        context = ssl.create_default_context(cafile=str(self._control_plane.ca_file))
        return http.client.HTTPSConnection(
            server.hostname or "", server.port, context=context, timeout=120
        )

    def _rules_for(self, method: str, target: str) -> tuple[float, Answer | Words | None, Body]:
        """Every delay, and the first of the other rules that is not used up."""
        delay, chosen = 0.0, None
        with self._lock:
            for rule in self._rules:
                if not rule.matches(method, target):
                    continue
                if rule.delay:
                    delay += rule.delay
                elif chosen is None:
                    chosen = rule
                else:
                    continue
                rule.used += 1
        if chosen is None:
            return delay, None, Body()
        return delay, chosen.answer, chosen.body or Body()

    def _record(self, exchange: Exchange) -> None:
        with self._lock:
            self.requests.append(exchange)
