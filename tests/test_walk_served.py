"""What was served, beside the certificates of a walk."""

from __future__ import annotations

from typing import Any

from walking import cluster

from gwdoctor import kinds
from gwdoctor.source import decode
from gwdoctor.walk import request, served, walks

ROUTE = """
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: shop}
spec:
  ingressClassName: nginx
  tls: [{secretName: shop}]
  rules:
  - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
"""


def handshake(purpose: str, address: str) -> dict[str, Any]:
    return {
        "apiVersion": "gwdoctor/v1",
        "kind": kinds.HANDSHAKE.name,
        "metadata": {"name": purpose, "namespace": "shop"},
        "purpose": purpose,
        "owner": {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "namespace": "shop",
            "name": "shop",
        },
        "address": address,
        "problem": "closed",
    }


def test_a_handshake_with_a_backend_is_none_that_clients_see() -> None:
    """Both have no SNI here: an address is asked for, and a backend by its address."""
    seen = cluster(ROUTE)
    walk = walks.walk(request.asked("https://192.0.2.7/"), seen)
    made = [handshake("backend", "10.0.0.1:8443"), handshake("entry", "192.0.2.7:443")]

    served.stand_beside(walk, [r for one in made for r in decode.resources(one)], seen)

    told = [hop.says for hop in walk.all_hops() if hop.what == "served"]
    assert told == ["192.0.2.7:443: closed"]
