"""Running gwdoctor in tests: in this process, which is quick, and as a program of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gwdoctor.cli.app import run as run_command_line

CHECK = "istio/misdirected-lua-answers-every-request"
#: A file with one critical finding of CHECK.
BROKEN = """\
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: misdirected, namespace: infra, labels: {app: edge, tier: web}}
spec:
  configPatches:
  - applyTo: HTTP_FILTER
    patch:
      value:
        typed_config:
          inlineCode: |
            function envoy_on_request(handle)
              local sni = handle:streamInfo().requestedServerName
              if sni ~= handle:headers():get(":authority") then
                handle:respond({[":status"] = "421"}, "")
              end
            end
"""
HEALTHY = """\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  ports: [{name: http, port: 80}]
"""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """The JSON report on stdout."""
        assert self.out, f"no report, but exit code {self.code}: {self.err}"
        document: dict[str, Any] = json.loads(self.out)
        return document

    @property
    def ids(self) -> list[str]:
        """The checks of its findings."""
        return [finding["check"] for finding in self.report["findings"]]


class Here:
    """Runs gwdoctor in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str | Path, program: str = "gwdoctor") -> Done:
        self._capsys.readouterr()
        before, sys.argv = sys.argv, [program, *map(str, arguments)]
        try:
            code = run_command_line(sys.argv)
        finally:
            sys.argv = before
        out, err = self._capsys.readouterr()
        return Done(code, out, err)


def program(
    *arguments: str | Path,
    environment: Mapping[str, str] | None = None,
    interpreter: Iterable[str] = (),
    **more: Any,
) -> Done:
    """Runs gwdoctor as a program of its own, with an environment without surprises."""
    kept = {"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, *interpreter, "-m", "gwdoctor", *map(str, arguments)],
        capture_output="stdout" not in more,
        env={**kept, **(environment or {})},
        timeout=120,
        check=False,
        **more,
    )
    return Done(
        done.returncode,
        (done.stdout or b"").decode("utf-8", "replace"),
        (done.stderr or b"").decode("utf-8", "replace"),
    )
