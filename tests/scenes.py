"""The five failures of the five documents, each broken and healthy, as manifests."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import casefile

FOLDER = Path(__file__).parent / "live" / "scenes"
DOCUMENTS = tuple(sorted({path.name.partition(".")[0] for path in FOLDER.glob("*.yaml")}))


def manifests(document: str, state: str, now: datetime | None = None) -> list[dict[str, Any]]:
    """The objects of a scene; `state` is `broken` or `healthy`."""
    text = (FOLDER / f"{document}.{state}.yaml").read_text()
    return casefile.documents(text, now or datetime.now(UTC).replace(microsecond=0))


#: What each broken scene was made for: check and object. The healthy twins have nothing.
EXPECTED: dict[str, set[tuple[str, str]]] = {
    "000_kong_https_backend": {
        ("kong/upstream-protocol-missing", "Service minio/minio"),
        ("kong/annotation-does-not-exist", "HTTPRoute minio-route/minio-api"),
    },
    "001_istio_strict_mtls": {
        ("istio/annotation-does-not-exist", "Service monitoring/prometheus"),
        ("istio/proxy-keeps-host", "Service monitoring/prometheus"),
        ("istio/destination-rule-bypasses-strict-mtls", "DestinationRule monitoring/prometheus"),
    },
    "002_istio_shared_certificate": {
        ("istio/tls-server-overlap", "Gateway authory/authory-gateway"),
        (
            "istio/misdirected-lua-answers-every-request",
            "EnvoyFilter istio-ingress/misdirected-request",
        ),
    },
    "003_envoy_gateway_nlb": {
        ("aws/annotations-on-gateway-metadata", "Gateway edge/gw"),
        ("aws/redirect-loop-behind-nlb", "HTTPRoute edge/ssl-redirect"),
    },
    "004_kong_certificate_not_renewed": {
        ("cert-manager/certificate-not-issued", "Order pay/pay-tls-5-271828"),
        ("cert-manager/annotation-without-effect", "Certificate pay/pay-tls"),
        ("kong/annotation-on-wrong-kind", "Secret pay/pay-tls"),
        ("kong/controller-ignores-secret-updates", "Pod kong-edge/kong-edge-controller-58"),
        ("kong/plugin-not-in-kong", "KongClusterPlugin ssl-cert-reloader"),
    },
}
