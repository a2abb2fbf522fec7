"""Carries out a fix on a real API server exactly as it is printed, and says what came of it.

A fix holds when its finding is gone afterwards, no other finding stands that did not stand
before, the objects are what it promised, nothing names one that it deleted, and doing it all once
more changes nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import complete
from testbed import ControlPlane, Refused
from testbed.client import Manifest

from gwdoctor import Finding
from gwdoctor.catalogue import catalogue
from gwdoctor.changes import commands, field_manager
from gwdoctor.cluster import Cluster
from gwdoctor.engine import scan
from gwdoctor.gather import gather
from gwdoctor.model import Report
from gwdoctor.render import document, words
from gwdoctor.source.access import Flags
from gwdoctor.source.live import Live, connect

#: Of the commands that a fix may print, what the test bed has nobody to carry out for.
OUT_OF_REACH = {
    "cmctl ": "no cert-manager runs here",
    "kubectl rollout ": "no controller runs here that makes new Pods",
    "kubectl delete pod ": "no controller runs here that makes new Pods",
}
#: In a command that writes the time: it changes nothing, and makes a controller look again.
NUDGE = "$(date"

#: How others name an object without saying its kind: the keys, by the kind that they name.
NAMED_UNDER = {
    "Gateway.networking.istio.io": {"gateways"},
    "PeerAuthentication.security.istio.io": set[str](),
}


@dataclass(frozen=True)
class Scanned:
    """What a scan saw and said."""

    cluster: Cluster
    report: Report

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(finding.id for finding in self.report.findings)


class Bed:
    """A control plane that is filled with a case, scanned with every check, mended, and put back."""

    def __init__(self, control_plane: ControlPlane, live: Live, folder: Path) -> None:
        self.control_plane = control_plane
        self._live = live
        self._probes = list(catalogue().values())
        self._environment = os.environ | {
            "KUBECONFIG": str(control_plane.kubeconfig),
            "KUBECACHEDIR": str(folder),
        }

    def load(self, manifests: list[Manifest]) -> None:
        """Nothing but these; `back` returns here. Raises Refused."""
        self.control_plane.forget()
        self.control_plane.apply(complete.namespaces(manifests))
        for number, group in enumerate(complete.by_age(complete.completed(manifests))):
            if number:
                time.sleep(1.1)  # the server writes whole seconds
            self.control_plane.apply(group, status=True)
        self.control_plane.remember()

    def back(self) -> None:
        """As it was when it was loaded."""
        self.control_plane.reset()

    def scan(self, now: datetime) -> Scanned:
        """What all checks say."""
        cluster = gather(self._live, self._probes, now=now).cluster
        return Scanned(cluster, scan(cluster, self._probes))

    def mend(self, finding: Finding) -> list[str]:
        """Apply, delete, run, in the order of the report; what did not go well."""
        assert finding.fix
        fix = document.fix(finding.fix)
        troubles = [*self._apply(fix["manifests"], field_manager(finding.id))]
        troubles += [self._delete(ref) for ref in fix["delete"]]
        troubles += [self.run(command) for command in fix["commands"]]
        return [trouble for trouble in troubles if trouble]

    def paste(self, finding: Finding) -> list[str]:
        """The same by pasting into a shell what the terminal shows, line by line."""
        assert finding.fix
        lines = [line.removeprefix("  ") for line in words.remedy(finding)]
        end = len(lines) - len(commands(finding.fix))
        start = next(
            (n for n, line in enumerate(lines) if line.startswith("# kubectl apply ")), end
        )
        troubles = []
        if start < end:
            apply = lines[start].removeprefix("# ")
            troubles.append(self.run(apply, "\n".join(lines[start + 1 : end])))
        troubles += [self.run(command) for command in lines[end:]]
        return [trouble for trouble in troubles if trouble]

    def run(self, command: str, stdin: str = "") -> str:
        """Run a line in a shell whose kubectl leads here; what went wrong, if anything."""
        done = subprocess.run(
            ["sh", "-c", command],
            input=stdin,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return f"{command}: {done.stderr.strip()}" if done.returncode else ""

    def _apply(self, manifests: list[Manifest], manager: str) -> Iterator[str]:
        for manifest in manifests:
            namespace = manifest["metadata"].get("namespace", "default")
            path = f"/api/v1/namespaces/{namespace}"
            if not self.control_plane.client.request("GET", path).ok:
                yield f"there is no namespace {namespace}"  # which `apply` would make
                continue
            try:
                self.control_plane.apply([manifest], field_manager=manager)
            except Refused as refused:
                yield str(refused)

    def _delete(self, ref: dict[str, str]) -> str:
        path = self.control_plane.resource(ref["apiVersion"], ref["kind"]).path(
            ref.get("namespace"), ref["name"]
        )
        answer = self.control_plane.client.request("DELETE", path)
        return "" if answer.ok else f"delete {path}: {answer.message}"


@contextmanager
def bed(control_plane: ControlPlane, folder: Path) -> Iterator[Bed]:
    """A bed whose connections stay open for all that is tried on it."""
    flags = Flags(kubeconfig=str(control_plane.kubeconfig))
    with closing(connect(flags, namespaces=None, connections=4)) as live:
        yield Bed(control_plane, live, folder)
    control_plane.forget()


def out_of_reach(finding: Finding) -> str:
    """Why this fix cannot be carried out here, if it cannot."""
    assert finding.fix
    for command in commands(finding.fix):
        for start, reason in OUT_OF_REACH.items():
            if command.startswith(start):
                return reason
        if NUDGE in command:
            return "no controller runs here that would look again"
        for tool in ("kubectl", "jq"):
            if tool in command.split() and not shutil.which(tool):
                return f"there is no {tool} on PATH"
    return ""


def faults(
    bed: Bed, before: Scanned, finding: Finding, now: datetime, *, paste: bool = False
) -> list[str]:
    """Why the fix of this finding does not hold; empty when it does. Leaves the bed mended."""
    mend = bed.paste if paste else bed.mend
    found = mend(finding)
    after = bed.scan(now)
    if finding.id in after.ids:
        found.append("the finding is still there")
    found += [f"it opens {_told(after, new)}" for new in sorted(after.ids - before.ids)]
    found += _not_as_promised(after.cluster, finding)
    found += _left_dangling(after.cluster, finding)
    if changed := _changed_again(bed, mend, finding):
        # the server may write a time into managedFields once more; a fix that settles stays put
        changed &= _changed_again(bed, mend, finding)
    return [*found, *(f"each time changes {key.decode()}" for key in sorted(changed))]


def _changed_again(bed: Bed, mend: Callable[[Finding], list[str]], finding: Finding) -> set[bytes]:
    """The objects that carrying it out once more writes to."""
    once = bed.control_plane.written()
    mend(finding)  # what is gone cannot be deleted or taken away again: that is no trouble
    return {key for key, at in bed.control_plane.written().items() if once.get(key) != at}


def _told(scanned: Scanned, finding_id: str) -> str:
    (finding,) = (each for each in scanned.report.findings if each.id == finding_id)
    return f"{finding.id}: {finding.field.ref} {finding.field.pointer}: {finding.message}"


def _not_as_promised(cluster: Cluster, finding: Finding) -> Iterator[str]:
    """What of the objects is not as the fix says that they become; commands may do more."""
    assert finding.fix
    for change in finding.fix.changes if not finding.fix.commands else ():
        live = cluster.find(change.ref)
        if live is None or change.after is None:
            if (live is None) != (change.after is None):
                yield f"{change.ref} is {'not ' if live is None else ''}there"
        else:
            for path in _differences(live.manifest(), change.before or {}, change.after):
                yield f"{change.ref} is not as promised at /{path}"


def _differences(live: Any, before: Any, promised: Any) -> Iterator[str]:
    """Where they differ; the server may add defaults, but keep nothing that was to go away."""
    if isinstance(live, dict) and isinstance(promised, dict):
        old = before if isinstance(before, dict) else {}
        yield from (key for key in live if key in old and key not in promised)
        for key, value in promised.items():
            for rest in _differences(live.get(key), old.get(key), value):
                yield f"{key}/{rest}".rstrip("/")
    elif isinstance(live, list) and isinstance(promised, list) and len(live) == len(promised):
        for number, (one, other) in enumerate(zip(live, promised, strict=True)):
            for rest in _differences(one, None, other):
                yield f"{number}/{rest}".rstrip("/")
    elif live != promised:
        yield ""


def _left_dangling(cluster: Cluster, finding: Finding) -> Iterator[str]:
    """Who still names an object that the fix deleted."""
    assert finding.fix
    for change in finding.fix.changes:
        if change.after is not None:
            continue
        gone = change.ref
        keys = NAMED_UNDER[str(gone.kind)]  # a new kind: say first how others name it
        for resource in cluster:
            names = {f"{gone.namespace}/{gone.name}"}
            if resource.namespace == gone.namespace:
                names.add(gone.name)
            for key, value in _strings(resource.at("spec").value):
                if key in keys and value in names:
                    yield f"{resource.ref} still names {gone} under {key}"


def _strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a value, with the nearest key above it."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for inner, child in value.items():
            yield from _strings(child, str(inner))
    elif isinstance(value, list):
        for child in value:
            yield from _strings(child, key)
