"""The programs of the test bed: where each is found, and how it is built where it is not."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from testbed import golang
from testbed.cache import machine, once, say


@dataclass(frozen=True)
class Tool:
    """A Go program, pinned by the go.mod of a folder in hack/controlplane."""

    name: str
    module: str
    """The folder in hack/controlplane, `.` for that folder itself."""
    source: str
    """The Go module that the version belongs to."""
    package: str
    takes: str
    """How long a first build takes on two cores: people want to know before they wait."""
    stamped: str | None = None
    """The Go package whose `gitVersion` says the version; without a stamp the program does not know it."""
    edits: golang.Edits = field(default_factory=dict)
    """Changes to the source, for what no option can change."""

    @property
    def version(self) -> str:
        """The pinned version without the `v`."""
        return golang.required(self.module, self.source).removeprefix("v")


KUBE_APISERVER = Tool(
    "kube-apiserver",
    ".",
    "k8s.io/kubernetes",
    "k8s.io/kubernetes/cmd/kube-apiserver",
    "5 minutes",
    stamped="k8s.io/component-base/version",
)
ETCD = Tool("etcd", ".", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3", "1 minute")
ENVOY_GATEWAY = Tool(
    "envoy-gateway",
    "envoy-gateway",
    "github.com/envoyproxy/gateway",
    "github.com/envoyproxy/gateway/cmd/envoy-gateway",
    "5 minutes",
    # It is made for a container of its own: it listens on every interface, and has its files in the
    # root folder. Ours stays on the loopback interface and in its working folder.
    edits={
        "internal/xds/runner/runner.go": {'"0.0.0.0"': '"127.0.0.1"', '"/certs/': '"certs/'},
        "internal/gatewayapi/runner/runner.go": {'"/certs/': '"certs/', '"/var/lib/eg/': '"'},
        "internal/wasm/httpserver.go": {
            'Sprintf(":%d", serverPort),': 'Sprintf("127.0.0.1:%d", serverPort),'
        },
        "internal/provider/kubernetes/kubernetes.go": {
            '":8081"': '"127.0.0.1:8081"',
            "mgrOpts := manager.Options{": 'mgrOpts := manager.Options{Metrics: metricsserver.Options{BindAddress: "0"},',
        },
        "api/v1alpha1/envoygateway_types.go": {'"0.0.0.0"': '"127.0.0.1"'},
    },
)
KWOK = Tool("kwok", "kwok", "sigs.k8s.io/kwok", "sigs.k8s.io/kwok/cmd/kwok", "2 minutes")
KIND = Tool("kind", "kind", "sigs.k8s.io/kind", "sigs.k8s.io/kind", "1 minute")

TOOLS = {tool.name: tool for tool in (KUBE_APISERVER, ETCD, ENVOY_GATEWAY, KWOK, KIND)}


def find(tool: Tool) -> Path:
    """The program: out of `KUBEBUILDER_ASSETS`, or the cache, or built now into the cache."""
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        folder = Path(assets)
        # Both or none: a server and a store of two origins are a puzzle nobody asked for.
        if tool in (KUBE_APISERVER, ETCD) and all(
            (folder / each.name).is_file() for each in (KUBE_APISERVER, ETCD)
        ):
            return folder / tool.name
    # Another edit makes another program of the same version.
    edited = hashlib.sha256(repr(tool.edits).encode()).hexdigest()[:6] if tool.edits else ""
    name = "-".join(filter(None, (tool.name, tool.version, edited, machine())))
    return once(name, lambda to: _build(tool, to)) / tool.name


def _build(tool: Tool, to: Path) -> None:
    say(f"building {tool.name} {tool.version}, about {tool.takes}, once per machine")
    stamps = {}
    if tool.stamped:
        major, minor, *_ = tool.version.split(".")
        stamps = {
            f"{tool.stamped}.gitVersion": f"v{tool.version}",
            f"{tool.stamped}.gitMajor": major,
            f"{tool.stamped}.gitMinor": minor,
        }
    edits = (tool.source, tool.edits) if tool.edits else None
    golang.build(tool.module, tool.package, to / tool.name, stamps=stamps, edits=edits)
