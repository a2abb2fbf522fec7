"""The doctor for the entry of a Kubernetes cluster: what a check may import is here.

The names load on first use, so that `gwdoctor --version` pays for none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gwdoctor import kinds
    from gwdoctor.cluster import Cluster, OutOfView
    from gwdoctor.model import (
        Change,
        Confidence,
        Evidence,
        Field,
        Finding,
        Fix,
        Kind,
        Ref,
        Resource,
        Severity,
        Skip,
    )
    from gwdoctor.probe import Probe

_HOME = {
    "Change": "model",
    "Cluster": "cluster",
    "Confidence": "model",
    "Evidence": "model",
    "Field": "model",
    "Finding": "model",
    "Fix": "model",
    "Kind": "model",
    "OutOfView": "cluster",
    "Probe": "probe",
    "Ref": "model",
    "Resource": "model",
    "Severity": "model",
    "Skip": "model",
}

__all__ = [
    "Change",
    "Cluster",
    "Confidence",
    "Evidence",
    "Field",
    "Finding",
    "Fix",
    "Kind",
    "OutOfView",
    "Probe",
    "Ref",
    "Resource",
    "Severity",
    "Skip",
    "kinds",
]


def __getattr__(name: str) -> Any:
    if name == "kinds":
        return import_module("gwdoctor.kinds")
    if name in _HOME:
        return getattr(import_module(f"gwdoctor.{_HOME[name]}"), name)
    raise AttributeError(f"module 'gwdoctor' has no attribute {name!r}")
