"""The Pods that Kong runs as: its controller and its proxies, their versions and ages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from shlex import quote

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Field, Resource
from gwdoctor.resolve import certificates

_CONTROLLER = "kubernetes-ingress-controller"
_PROXIES = ("kong", "kong-gateway")
_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")

#: Major, minor and patch; the patch is None for a tag that names none.
Version = tuple[int, int, int | None]


@dataclass(frozen=True, slots=True)
class Container:
    """A container of Kong in a Pod that was read whole."""

    pod: Resource
    field: Field
    version: Version | None  #: as the tag of the image says; None for tags such as `latest`

    @property
    def shown(self) -> str:
        """The version for a message."""
        return ".".join(str(part) for part in self.version or () if part is not None) or "unknown"

    @property
    def started(self) -> datetime | None:
        """When this container began to run."""
        for told in self.pod.each("status", "containerStatuses"):
            if told.text("name") == self.field.text("name"):
                return certificates.time_of(told.text("state", "running", "startedAt"))
        return None

    def variable(self, name: str) -> Field | None:
        """An environment variable that has a value in the Pod itself."""
        found = (v for v in self.field.each("env") if v.text("name") == name and v.text("value"))
        return next(found, None)

    @property
    def restart(self) -> str:
        """The command that restarts it, by the Deployment that its ReplicaSet is named after."""
        namespace = quote(self.pod.namespace)
        for owner in self.pod.each("metadata", "ownerReferences"):
            kind, name = owner.text("kind"), owner.text("name")
            if kind == "ReplicaSet" and "-" in name:
                deployment = quote(name.rpartition("-")[0])
                return f"kubectl rollout restart deployment {deployment} -n {namespace}"
            if kind in ("DaemonSet", "StatefulSet"):
                return f"kubectl rollout restart {kind.lower()} {quote(name)} -n {namespace}"
        return f"kubectl delete pod {quote(self.pod.name)} -n {namespace}"


def controllers(cluster: Cluster) -> Iterator[Container]:
    """Containers of the Kong Ingress Controller."""
    for pod, container, name, tag in _containers(cluster):
        if name == _CONTROLLER:
            yield Container(pod, container, _version(tag))


def proxies(cluster: Cluster) -> Iterator[Container]:
    """Containers of Kong Gateway."""
    for pod, container, name, tag in _containers(cluster):
        if name in _PROXIES:
            yield Container(pod, container, _version(tag))


def _containers(cluster: Cluster) -> Iterator[tuple[Resource, Field, str, str]]:
    for pod in cluster[kinds.POD_WHOLE]:
        for container in pod.each("spec", "containers"):
            image = container.text("image").partition("@")[0].rpartition("/")[2]
            name, _, tag = image.partition(":")
            yield pod, container, name, tag


def _version(tag: str) -> Version | None:
    found = _VERSION.match(tag)
    if not found:
        return None
    return int(found[1]), int(found[2]), int(found[3]) if found[3] else None
