"""Plain HTTP to an API server: a connection pool, a login, and nothing between us and the bytes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

PATIENCE = 30.0
"""How many seconds we follow a server's wish that we come again later."""

Manifest = dict[str, Any]
"""A Kubernetes object as JSON has it. What is inside is the business of the server's schema."""


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the server did what it was asked to do."""
        return 200 <= self.status < 300

    def json(self) -> Manifest:
        """The body, an object."""
        content: Manifest = json.loads(self.body)
        return content

    @property
    def message(self) -> str:
        """The server's own words where it refused: that of a Status, else the body."""
        try:
            return str(self.json()["message"])
        except (ValueError, KeyError, TypeError):
            return self.body.decode(errors="replace").strip()


class Client:
    """One server and one login, with up to `connections` requests at a time."""

    def __init__(
        self,
        server: str,
        *,
        ca_file: Path | None = None,
        token: str | None = None,
        certificate: tuple[Path, Path] | None = None,
        connections: int = 8,
    ) -> None:
        self.server = server.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        certificate_file, key_file = certificate or (None, None)
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            block=True,
            retries=False,
            timeout=urllib3.Timeout(connect=5, read=120),
            ca_certs=str(ca_file) if ca_file else None,
            cert_file=str(certificate_file) if certificate_file else None,
            key_file=str(key_file) if key_file else None,
        )

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask for `path`; a body that is not bytes is sent as JSON.

        Where the server says "retry after" we do, as every Kubernetes client: it says so whenever
        a kind is asked for the first time and its storage is not up yet.
        """
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body, separators=(",", ":")).encode()
        url = f"{self.server}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {**self._headers, "Accept": "application/json", "Content-Type": content_type}
        deadline = time.monotonic() + PATIENCE
        while True:
            response = self._pool.request(method, url, body=body, headers=headers)
            wait = response.headers.get("Retry-After", "")
            if not wait.isdigit() or time.monotonic() > deadline:
                return Answer(response.status, response.data)
            time.sleep(int(wait))

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()
