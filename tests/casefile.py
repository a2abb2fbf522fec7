"""Case files: manifests that carry their expected findings as comments.

    # now: 2026-11-21T12:00:00Z          the clock (this is the default)
    # unseen: Secret, Pod                kinds that this scan may not read
    data: !cert {dns: [a.example.com]}   a certificate made for the case; see certs.py
    notAfter: !time +5d                  a moment counted from the clock
    credentialName: shared  # finding: istio/tls-server-overlap high

A `# finding: <check> [severity]` comment stands on the line that the finding is about; a finding
on a field that is not there stands on the line of its nearest parent.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import certs
import yaml

from gwdoctor import Cluster, Field, Finding, Kind, kinds
from gwdoctor.model import Gap, Resource
from gwdoctor.source import decode

MARK = re.compile(
    r"#\s*finding:\s*(?P<check>[\w/-]+)(?:\s+(?P<severity>critical|high|medium|low))?"
)
CASES = Path(__file__).parent / "cases"


class _Loader(yaml.CSafeLoader):
    now = certs.NOW


def _cert(loader: Any, node: yaml.Node) -> dict[str, str]:
    assert isinstance(node, yaml.MappingNode)
    spec: dict[str, Any] = loader.construct_mapping(node, deep=True)
    return certs.secret_data(loader.now, **spec)


def _time(loader: Any, node: yaml.Node) -> str:
    """`!time -3d`: a moment counted from now; d, h or m."""
    text = str(node.value)
    unit = {"d": "days", "h": "hours", "m": "minutes"}[text[-1]]
    moment = loader.now + timedelta(**{unit: int(text[:-1])})
    return str(moment.strftime("%Y-%m-%dT%H:%M:%SZ"))


_Loader.add_constructor("!cert", _cert)
_Loader.add_constructor("!time", _time)


def _header(text: str, key: str) -> str:
    found = re.search(rf"^#\s*{key}:\s*(.+?)\s*$", text, re.MULTILINE)
    return found[1] if found else ""


def now_of(text: str) -> datetime:
    given = _header(text, "now")
    return datetime.fromisoformat(given.replace("Z", "+00:00")) if given else certs.NOW


def unseen(text: str) -> tuple[Kind, ...]:
    names = {name.strip() for name in _header(text, "unseen").split(",") if name.strip()}
    found = tuple(kind for kind in kinds.READINGS if str(kind) in names)
    assert {str(kind) for kind in found} == names, f"unknown kind among {names}"
    return found


def documents(text: str, now: datetime | None = None) -> list[dict[str, Any]]:
    """The documents of a case; its certificates and times are counted from `now`."""
    documents: list[dict[str, Any]] = pickle.loads(_read(text, now or now_of(text)))
    return documents


@cache
def _read(text: str, now: datetime) -> bytes:
    """To be copied for each who asks: most cases are asked for many times."""
    loader = type("_L", (_Loader,), {"now": now})
    return pickle.dumps([doc for doc in yaml.load_all(text, loader) if doc])


def resources_of(manifests: Iterable[dict[str, Any]]) -> list[Resource]:
    return [r for manifest in manifests for r in decode.resources(manifest)]


def cluster_of(
    manifests: Iterable[dict[str, Any]],
    *,
    now: datetime = certs.NOW,
    hidden: Iterable[Kind] = (),
    cls: type[Cluster] = Cluster,
) -> Cluster:
    """A cluster that holds exactly these manifests, and of which these kinds cannot be read."""
    hidden = tuple(hidden)
    return cls(
        (r for r in resources_of(manifests) if r.ref.kind not in hidden),
        gaps=[Gap(kind=kind, reason="may not be listed (403)") for kind in hidden],
        now=now,
    )


def expected(text: str) -> set[tuple[int, str, str]]:
    """(line, check, severity or "") for every `# finding:` comment."""
    return {
        (number, mark["check"], mark["severity"] or "")
        for number, line in enumerate(text.splitlines(), 1)
        for mark in MARK.finditer(line)
    }


def found_on_lines(
    text: str, findings: Iterable[Finding], with_severity: set[tuple[int, str]]
) -> set[tuple[int, str, str]]:
    """The findings in the form of `expected`; a severity only where the file gives one."""
    places = [(line_of(text, f.field), f.check, str(f.severity)) for f in findings]
    return {(line, c, s if (line, c) in with_severity else "") for line, c, s in places}


@cache
def _composed(text: str) -> tuple[yaml.Node, ...]:
    return tuple(node for node in yaml.compose_all(text, yaml.CSafeLoader) if node)


def line_of(text: str, field: Field) -> int:
    """The line that a field stands on."""
    for node in _composed(text):
        head = {k: _scalar(node, k) for k in ("apiVersion", "kind")}
        metadata = _child(node, "metadata")
        if metadata is None or _scalar(metadata, "name") != field.ref.name:
            continue
        kind = Kind.of(head)
        if (kind.name, kind.group) != (field.ref.kind.name, field.ref.kind.group):
            continue
        if field.ref.namespace in ("", _scalar(metadata, "namespace") or "default"):
            return _walk(node, field.path)
    raise LookupError(field.ref)


def _child(node: yaml.Node, key: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        for k, v in node.value:
            if k.value == key:
                found: yaml.Node = v
                return found
    return None


def _scalar(node: yaml.Node, key: str) -> str:
    child = _child(node, key)
    return str(child.value) if isinstance(child, yaml.ScalarNode) else ""


def _walk(node: yaml.Node, path: tuple[str | int, ...]) -> int:
    line: int = node.start_mark.line + 1
    for step in path:
        if isinstance(node, yaml.MappingNode):
            pairs = {key.value: (key, value) for key, value in node.value}
            if step not in pairs:
                return line
            key, node = pairs[step]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            if not -len(node.value) <= step < len(node.value):
                return line
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def case_files() -> list[Path]:
    return sorted(p for p in CASES.glob("*/*/*.yaml") if not p.name.endswith(".fixed.yaml"))
