"""The only place that writes to a cluster: reports that the user asked for, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from gwdoctor.source.access import Access
from gwdoctor.source.connection import Connection, Trouble
from gwdoctor.source.deadline import Deadline

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


class _Page(msgspec.Struct):
    items: list[Manifest] = []
    metadata: dict[str, Any] = {}


class Keeper:
    """Reads and writes reports in one cluster. Raises Trouble where the server refuses."""

    def __init__(self, access: Access) -> None:
        self.home = access.namespace
        self._connection = Connection(access, deadline=Deadline(SECONDS), connections=2)

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def serves(self, api_version: str) -> bool:
        """Whether the server knows an API."""
        try:
            self._connection.get(f"/apis/{api_version}")
        except Trouble as trouble:
            if trouble.status == 404:
                return False
            raise
        return True

    def get(self, api_version: str, kind: str, namespace: str, name: str) -> Manifest | None:
        """A report that is there; None if there is none."""
        try:
            body = self._connection.get(_path(api_version, kind, namespace, name))
        except Trouble as trouble:
            if trouble.status == 404:
                return None
            raise
        found: Manifest = _decoded(body, dict)
        return found

    def reports(self, api_version: str, kind: str, namespace: str, labels: str) -> list[Manifest]:
        """The reports that carry these labels; without a namespace, in all of them."""
        found: list[Manifest] = []
        query = {"labelSelector": labels, "limit": "50"}
        while True:
            page: _Page = _decoded(
                self._connection.get(_path(api_version, kind, namespace), query), _Page
            )
            found += page.items
            token = page.metadata.get("continue")
            if not token:
                return found
            query["continue"] = str(token)

    def apply(self, manifest: Manifest) -> None:
        """Write a report as a whole, by server-side apply."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        self._connection.write("PATCH", _path_of(manifest), query, manifest, content=_APPLY)

    def delete(self, manifest: Mapping[str, Any]) -> None:
        """Take away a report that is out of date."""
        try:
            self._connection.write("DELETE", _path_of(manifest), {}, None)
        except Trouble as trouble:
            if trouble.status != 404:
                raise

    def owner(self, cron_job: str) -> Manifest:
        """A reference to the CronJob, so that its reports go when it goes."""
        path = f"/apis/batch/v1/namespaces/{quote(self.home, '')}/cronjobs/{quote(cron_job, '')}"
        metadata = _decoded(self._connection.get(path), dict).get("metadata", {})
        return {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "name": cron_job,
            "uid": str(metadata.get("uid", "")),
        }


def _path(api_version: str, kind: str, namespace: str, name: str = "") -> str:
    plural = WRITTEN[api_version, kind]  # a KeyError is a bug: nothing else may be written
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    where = ["namespaces", quote(namespace, "")] if namespace else []
    return "/".join([root, *where, plural, *([quote(name, "")] if name else [])])


def _path_of(manifest: Mapping[str, Any]) -> str:
    metadata = manifest["metadata"]
    namespace, name = metadata.get("namespace", ""), metadata["name"]
    return _path(manifest["apiVersion"], manifest["kind"], namespace, name)


def _decoded(body: bytearray, form: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Trouble("the answer is broken JSON") from None
