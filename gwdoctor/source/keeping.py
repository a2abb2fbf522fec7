"""The only place that writes to a cluster: reports that the user asked for, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Required, TypedDict
from urllib.parse import quote

import msgspec

from gwdoctor.source.access import Access
from gwdoctor.source.connection import Connection, Trouble
from gwdoctor.source.deadline import Deadline
from gwdoctor.source.decode import HEAD, About, Gone, Head
from gwdoctor.source.trail import Trail

Manifest = dict[str, Any]

FIELD_MANAGER = "gwdoctor-report"
#: Writing has a deadline of its own: what was read until the deadline of the scan is told, too.
SECONDS = 60.0
_APPLY = "application/apply-patch+yaml"
#: All that is ever written, with its plural.
WRITTEN = {
    ("v1", "ConfigMap"): "configmaps",
    ("openreports.io/v1alpha1", "Report"): "reports",
    ("openreports.io/v1alpha1", "ClusterReport"): "clusterreports",
    ("wgpolicyk8s.io/v1alpha2", "PolicyReport"): "policyreports",
    ("wgpolicyk8s.io/v1alpha2", "ClusterPolicyReport"): "clusterpolicyreports",
}


class _Metadata(TypedDict, total=False):
    name: Required[str]
    namespace: str
    uid: str
    annotations: dict[str, str] | None


class _Result(TypedDict, total=False):
    policy: str
    severity: str
    properties: dict[str, str] | None


class _Report(TypedDict, total=False):
    """What the next run needs of a report, in either of its forms."""

    metadata: Required[_Metadata]
    binaryData: dict[str, str] | None
    results: list[_Result] | None


class _PageMetadata(msgspec.Struct):
    token: str = msgspec.field(name="continue", default="")


class _Page(msgspec.Struct):
    kind: str
    items: list[_Report] | None
    metadata: _PageMetadata = msgspec.field(default_factory=_PageMetadata)


class _Resources(msgspec.Struct):
    resources: list[msgspec.Raw]


_REPORT = msgspec.json.Decoder(_Report)
_PAGE = msgspec.json.Decoder(_Page)
_RESOURCES = msgspec.json.Decoder(_Resources)


class Keeper:
    """Reads and writes reports in one cluster. Raises Trouble where the server refuses."""

    def __init__(self, access: Access, *, request_timeout: float | None = None) -> None:
        self.home = access.namespace
        self._connection = Connection(
            access, deadline=Deadline(SECONDS), request_timeout=request_timeout, connections=2
        )

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def serves(self, api_version: str) -> bool:
        """Whether the server knows an API."""
        try:
            self._connection.ask(f"/apis/{api_version}", _RESOURCES)
        except Trouble as trouble:
            if trouble.status == 404:  # in no form: servers say it in plain text
                return False
            raise
        return True

    def get(self, api_version: str, kind: str, namespace: str, name: str) -> Manifest | None:
        """A report that is there; None if there is none."""
        try:
            path = _path(api_version, kind, namespace, name)
            found = self._connection.ask(path, About(kind, namespace, name, _REPORT))
            return {**found}
        except Trouble as trouble:
            _confirm_absent(trouble)
            return None

    def reports(self, api_version: str, kind: str, namespace: str, labels: str) -> list[Manifest]:
        """The reports that carry these labels; without a namespace, in all of them."""
        found: list[Manifest] = []
        query = {"labelSelector": labels, "limit": "50"}
        trail = Trail()
        while True:
            page = self._connection.ask(_path(api_version, kind, namespace), _PAGE, query)
            if page.kind != f"{kind}List":
                raise Trouble("the server answers with something else")
            found += map(dict, page.items or ())
            token = page.metadata.token
            if not token:
                return found
            trail.follow(token)
            query["continue"] = token

    def apply(self, manifest: Manifest) -> None:
        """Write a report as a whole, by server-side apply."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        path, form = _path_of(manifest), _about(manifest)
        self._connection.write("PATCH", path, query, manifest, form, content=_APPLY)

    def delete(self, manifest: Mapping[str, Any]) -> None:
        """Take away a report that is out of date."""
        try:
            form = Gone(_about(manifest))
            self._connection.write("DELETE", _path_of(manifest), {}, None, form)
        except Trouble as trouble:
            _confirm_absent(trouble)

    def owner(self, cron_job: str) -> Manifest:
        """A reference to the CronJob, so that its reports go when it goes."""
        path = f"/apis/batch/v1/namespaces/{quote(self.home, '')}/cronjobs/{quote(cron_job, '')}"
        form = About("CronJob", self.home, cron_job, _REPORT)
        metadata = self._connection.ask(path, form)["metadata"]
        if not metadata.get("uid"):
            raise Trouble("it has no uid")
        return {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "name": cron_job,
            "uid": metadata["uid"],
        }


def _about(manifest: Mapping[str, Any]) -> About[Head]:
    metadata = manifest["metadata"]
    return About(manifest["kind"], metadata.get("namespace", ""), metadata["name"], HEAD)


def _confirm_absent(trouble: Trouble) -> None:
    """That it is not there; else raises what is the matter."""
    if trouble.status != 404 or not trouble.is_genuine:
        raise trouble


def _path(api_version: str, kind: str, namespace: str, name: str = "") -> str:
    plural = WRITTEN[api_version, kind]  # a KeyError is a bug: nothing else may be written
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    where = ["namespaces", quote(namespace, "")] if namespace else []
    return "/".join([root, *where, plural, *([quote(name, "")] if name else [])])


def _path_of(manifest: Mapping[str, Any]) -> str:
    metadata = manifest["metadata"]
    namespace, name = metadata.get("namespace", ""), metadata["name"]
    return _path(manifest["apiVersion"], manifest["kind"], namespace, name)
