"""A real Kubernetes control plane for tests, benchmarks and people: no container engine, no root.

`ControlPlane` is etcd and kube-apiserver as plain processes on the loopback interface, with the real
CRDs of Istio, Gateway API, Envoy Gateway, cert-manager and OpenReports. `FaultProxy` stands in front
of it and misbehaves on request.
"""

from testbed.cluster import Cluster, Refused
from testbed.controlplane import ControlPlane
from testbed.faults import FaultProxy

__all__ = ["Cluster", "ControlPlane", "FaultProxy", "Refused"]
