"""The fix of a finding as gwdoctor prints it, and what it makes of the objects it was printed for."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import casefile
import yaml

from gwdoctor.catalogue import catalogue
from gwdoctor.engine import scan
from gwdoctor.render.document import document
from gwdoctor.render.machine import as_yaml

Manifest = dict[str, Any]


def findings(objects: Sequence[Manifest], check: str, now: datetime) -> list[Manifest]:
    """What `-o yaml` prints of a check, of a cluster that holds exactly these objects."""
    report = scan(casefile.cluster_of(objects, now=now), [catalogue()[check]])
    assert not report.skips
    printed: list[Manifest] = yaml.safe_load(as_yaml(document(report)))["findings"]
    return printed


def printed_fix(objects: Sequence[Manifest], check: str, now: datetime) -> Manifest:
    """The fix of the only finding of a check."""
    (finding,) = findings(objects, check, now)
    fix: Manifest = finding["fix"]
    return fix


def applied(objects: Sequence[Manifest], fix: Manifest) -> list[Manifest]:
    """The objects after `kubectl apply --server-side` and the deletions.

    Mappings merge and lists are replaced: none of Istio's kinds that are used here has a list that
    the API server merges item by item.
    """
    assert not fix["commands"], "a fix that needs more than manifests"
    after = {_identity(each): copy.deepcopy(each) for each in objects}
    for manifest in fix["manifests"]:
        _merge(after.setdefault(_identity(manifest), {}), manifest)
    for gone in fix["delete"]:
        del after[gone["kind"], gone["namespace"], gone["name"]]
    return list(after.values())


def _identity(manifest: Manifest) -> tuple[str, str, str]:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace", ""), metadata["name"]


def _merge(into: Manifest, new: Manifest) -> None:
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = copy.deepcopy(value)
