"""The annotations that Istio reads, and what an unknown one was probably meant to be.

The list is that of istio.io/api annotation/annotations.gen.go (1.32); keys of newer releases are
not in it, so only near misses are ever called wrong.
"""

from __future__ import annotations

import re
from difflib import get_close_matches

_BY_DOMAIN = {
    "alpha.istio.io": "canonical-serviceaccounts kubernetes-serviceaccounts",
    "ambient.istio.io": "bypass-inbound-capture dns-capture redirection waypoint-inbound-binding",
    "galley.istio.io": "analyze-suppress",
    "gateway.istio.io": "controller-version name-override service-account tls-terminate-mode",
    "inject.istio.io": "templates",
    "istio.io": "autoRegistrationGroup connectedAt disconnectedAt dry-run for-service-account "
    "reroute-virtual-interfaces rev waypoint-for workloadController",
    "networking.istio.io": "address-type exportTo service-type traffic-distribution",
    "prometheus.istio.io": "merge-metrics",
    "proxy.istio.io": "config overrides",
    "readiness.status.sidecar.istio.io": "applicationPorts failureThreshold "
    "initialDelaySeconds periodSeconds",
    "security.istio.io": "autoMTLS",
    "sidecar.istio.io": "agentLogLevel bootstrapOverride componentLogLevel "
    "controlPlaneAuthPolicy discoveryAddress enableCoreDump extraStatTags inject "
    "interceptionMode logLevel nativeSidecar proxyCPU proxyCPULimit proxyImage proxyImageType "
    "proxyMemory proxyMemoryLimit rewriteAppHTTPProbers statsCompression statsEvictionInterval "
    "statsHistogramBuckets statsInclusionPrefixes statsInclusionRegexps "
    "statsInclusionSuffixes status userVolume userVolumeMount",
    "status.sidecar.istio.io": "port",
    "topology.istio.io": "controlPlaneClusters network subzone",
    "traffic.istio.io": "nodeSelector",
    "traffic.sidecar.istio.io": "excludeInboundPorts excludeInterfaces excludeOutboundIPRanges "
    "excludeOutboundPorts includeInboundPorts includeOutboundIPRanges includeOutboundPorts "
    "kubevirtInterfaces",
}
KNOWN = frozenset(
    f"{domain}/{name}" for domain, names in _BY_DOMAIN.items() for name in names.split()
)
_BY_NAME = {key.partition("/")[2].lower().replace("-", ""): key for key in sorted(KNOWN)}
#: Read as labels only.
LABELS = frozenset(
    {"istio-injection", "istio.io/dataplane-mode", "istio.io/use-waypoint", "istio.io/rev"}
)
_PROTOCOL = re.compile(r"(service|app|application|port|backend|upstream)*protocols?")


def is_istio(key: str) -> bool:
    """Whether a key is in a domain of Istio."""
    domain = key.partition("/")[0]
    return "/" in key and (domain == "istio.io" or domain.endswith(".istio.io"))


def _plain(key: str) -> str:
    return re.sub(r"[-_.]", "", key.partition("/")[2].lower())


def names_protocol(key: str) -> bool:
    """Whether an annotation claims to set the protocol of a port: none does."""
    return is_istio(key) and key not in KNOWN and bool(_PROTOCOL.fullmatch(_plain(key)))


def meant_by(key: str) -> str:
    """The annotation that a near miss was meant to be; empty where that is anybody's guess.

    Near is: the same name in other letters or another domain of Istio, or one or two letters off.
    """
    if not is_istio(key) or key in KNOWN:
        return ""
    name = _plain(key)
    if name in _BY_NAME and len(name) > 7:
        return _BY_NAME[name]
    close = get_close_matches(name, [n for n in _BY_NAME if len(n) > 7], n=1, cutoff=0.92)
    return _BY_NAME[close[0]] if close else ""
