"""The CustomResourceDefinitions of the systems that gwdoctor reads: the real ones, out of Go modules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import yaml

from testbed import golang
from testbed.cache import once, say

SOURCES = {
    "github.com/cert-manager/cert-manager": "deploy/crds/*.yaml",
    # The experimental set holds the standard one; Envoy Gateway does not start without it.
    "sigs.k8s.io/gateway-api": "config/crd/experimental/*.yaml",
    "github.com/envoyproxy/gateway": "charts/gateway-helm/charts/crds/crds/generated/*.yaml",
    "istio.io/api": "kubernetes/customresourcedefinitions.gen.yaml",
    "github.com/openreports/reports-api": "config/crd/*.yaml",
}
"""Where in each module of hack/controlplane/crds/go.mod the definitions lie."""

# The older API for reports, for clusters without OpenReports. Not in every control plane.
POLICY_REPORTS = {"github.com/kyverno/kyverno": "config/crds/policyreport/*.yaml"}
KWOK = {"sigs.k8s.io/kwok": "kustomize/crd/bases/*.yaml"}
KONG = Path(__file__).with_name("kong-crds.yaml")


def definitions() -> dict[str, bytes]:
    """Every definition as JSON, by name; collected once, as reading so much YAML takes seconds."""
    return _kept("crds", SOURCES, KONG)


def kwok_definitions() -> dict[str, bytes]:
    """The definitions that kwok itself needs."""
    return _kept("kwok-crds", KWOK)


def policy_report_definitions() -> dict[str, bytes]:
    """PolicyReport and ClusterPolicyReport, which OpenReports took the place of."""
    return _kept("policy-report-crds", POLICY_REPORTS)


def _kept(name: str, sources: dict[str, str], *files: Path) -> dict[str, bytes]:
    ingredients = [Path(__file__), golang.MODULES / "crds" / "go.mod", *files]
    key = hashlib.sha256(b"\0".join(file.read_bytes() for file in ingredients)).hexdigest()[:12]

    def collect(place: Path) -> None:
        say("collecting the CRDs out of the Go modules that publish them, once per machine")
        found = list(files)
        for module, pattern in sources.items():
            found += sorted(golang.files_of("crds", module).glob(pattern))
        for definition in _definitions_in(found):
            text = json.dumps(definition, separators=(",", ":"))
            (place / f"{definition['metadata']['name']}.json").write_text(text)

    place = once(f"{name}-{key}", collect)
    return {file.stem: file.read_bytes() for file in sorted(place.glob("*.json"))}


def _definitions_in(files: list[Path]) -> Iterator[dict[str, dict[str, str]]]:
    for file in files:
        for document in yaml.load_all(file.read_text(), Loader=yaml.CSafeLoader):
            # Among them lie a kustomization and an admission policy.
            if document and document.get("kind") == "CustomResourceDefinition":
                yield document
