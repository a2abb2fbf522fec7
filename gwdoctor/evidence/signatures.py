"""What lines of logs mean: data, with what each proves and what it does not.

Sources: Kong 3.9 (nginx 1.27 src/http/ngx_http_upstream.c, kong/runloop), Kong/kubernetes-
ingress-controller 3.5 (internal/dataplane), Envoy 1.40 (response flags and their details),
istio/istio 1.32, cert-manager 1.21 (pkg/controller/acmechallenges, certificates, certificate-shim).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from gwdoctor.evidence import access_log
from gwdoctor.evidence.access_log import Request
from gwdoctor.evidence.cleaning import clean
from gwdoctor.model import Confidence, Severity

#: Whose log a line may stand in.
KONG, KONG_CONTROLLER, GATEWAY, SIDECAR, CERT_MANAGER = (
    *("kong", "kong-controller", "gateway", "sidecar", "cert-manager"),
)
#: So much of a plain line is kept.
LONGEST = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Lines of one meaning. `pattern` is for plain lines, `asks` for those of an access log."""

    name: str
    logs: tuple[str, ...]  #: whose
    consequence: str  #: what it means; facts in braces
    limits: str  #: when it does not mean that
    proves: tuple[str, ...]
    pattern: re.Pattern[str] | None = None
    asks: Callable[[Request], bool] | None = None
    severity: Severity = Severity.HIGH
    confidence: Confidence = Confidence.LIKELY  #: where nothing else says so
    alone: bool = True  #: whether it is worth a finding where nothing else says so
    needs_object: bool = True  #: whether that takes an object of the cluster that it is tied to
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """A line that carries a signature, and what it tells: addresses, hosts, names."""

    signature: Signature
    text: str  #: fit to be kept and to be quoted
    facts: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def key(self) -> tuple[str, ...]:
        """Lines of the same key are counted, not repeated."""
        return (self.signature.name, *(f"{k}={v}" for k, v in sorted(self.facts.items())))


def _kong(text: str, *, scheme: str = "") -> re.Pattern[str]:
    """A line of nginx's error log about an upstream: nginx writes the request, then the upstream."""
    upstream = (
        rf'.*?upstream: "(?P<scheme>{scheme})://(?P<upstream>[^/"\s]+)[^"]*"'
        r'(?:.*?host: "(?P<host>[^"]*)")?'
    )
    return re.compile(text + upstream if scheme else text + r'(?:.*?host: "(?P<host>[^"]*)")?')


#: KIC 3 writes `"namespace": "x", "name": "y"` as JSON behind the message, or key=value.
_NAMED = (
    re.compile(r'"?namespace"?[:=] ?"?(?P<namespace>[a-z0-9.-]+)"?'),
    re.compile(
        r'"?(?:name|service_name|secret_name|resource_name)"?[:=] ?"?(?P<name>[a-z0-9.-]+)"?'
    ),
)
_PAIR = re.compile(
    r'(?:"?(?:key|resource|secret|service|certificate|object)"?[:=] ?"?|secret \'|Secret ")'
    r"(?P<namespace>[a-z0-9][a-z0-9-]*)/(?P<name>[a-z0-9][a-z0-9.-]*)"
)
_TLS_FAILURE = re.compile(r"TLS[_ ]error", re.IGNORECASE)


def _controller(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


def _is_foreign_request(request: Request) -> bool:
    return (
        request.code in (404, 421)
        and "NR" in request.flags
        and request.details.startswith("route_not_found")
        and bool(request.server_name and request.host)
        and access_log.host_of(request.server_name) != request.host
    )


def _left_the_mesh(request: Request) -> bool:
    return request.upstream_cluster == "PassthroughCluster" and bool(request.upstream_host)


def _no_chain(request: Request) -> bool:
    return request.details.startswith("filter_chain_not_found") and "NR" in request.flags


def _tls_fails(request: Request) -> bool:
    return bool(request.flags & {"UF", "URX"}) and bool(_TLS_FAILURE.search(request.failure))


def _verification_fails(request: Request) -> bool:
    return _tls_fails(request) and "CERTIFICATE_VERIFY_FAILED" in request.failure


def _redirected_on_https(request: Request) -> bool:
    port = request.downstream_local.rpartition(":")[2]
    return request.code in (301, 302, 307, 308) and port in ("443", "8443", "10443", "18443")


SIGNATURES: tuple[Signature, ...] = (
    # Kong's proxy
    Signature(
        name="kong-upstream-reset",
        logs=(KONG,),
        pattern=_kong(r"(?:readv|recv)\(\) failed \(104: .*?upstream", scheme="http"),
        consequence="the backend resets what Kong sends to {upstream} as plain HTTP",
        limits="A reset alone proves nothing: idle connections, restarts and network policies "
        "reset, too. It counts where Kong speaks plain http to a port that looks like TLS.",
        proves=("kong/upstream-protocol-missing", "kong/upstream-protocol-contradicts-port"),
        confidence=Confidence.POSSIBLE,
        severity=Severity.MEDIUM,
        advice="Find out whether the port speaks TLS (gwdoctor scan --probe backends); if it does, "
        "annotate the Service with konghq.com/protocol: https",
    ),
    Signature(
        name="kong-plain-to-tls",
        logs=(KONG,),
        pattern=_kong(
            r"(?i:client sent an HTTP request to an HTTPS server|plain HTTP request was sent to "
            r"HTTPS port|speaking plain HTTP to an SSL-enabled server port)",
            scheme="http",
        ),
        consequence="the backend at {upstream} expects TLS, and Kong speaks plain HTTP to it",
        limits="The words are the backend's; they stand in Kong's log only where a plugin puts "
        "the answers there.",
        proves=("kong/upstream-protocol-missing", "kong/upstream-protocol-contradicts-port"),
        severity=Severity.CRITICAL,
        confidence=Confidence.CERTAIN,
        advice="Annotate the Service with konghq.com/protocol: https",
    ),
    Signature(
        name="kong-tls-to-plain",
        logs=(KONG,),
        pattern=_kong(r"SSL_do_handshake\(\) failed \(.*?wrong version number.*?\)", scheme="https"),
        consequence="Kong speaks TLS to {upstream}, which answers in clear text",
        limits="A backend may speak TLS on another port of the same Service.",
        proves=("kong/upstream-protocol-contradicts-port",),
        severity=Severity.CRITICAL,
        confidence=Confidence.CERTAIN,
        advice="Take konghq.com/protocol: https off the Service, or lead the route to its TLS port",
    ),
    Signature(
        name="kong-upstream-name",
        logs=(KONG,),
        pattern=_kong(r"upstream SSL certificate does not match", scheme="https"),
        consequence="the certificate of {upstream} is not for the name that Kong asks it for",
        limits="Kong verifies only where it is told to (konghq.com/tls-verify).",
        proves=("kong/client-host-goes-upstream",),
        severity=Severity.CRITICAL,
        confidence=Confidence.CERTAIN,
        advice="Let the backend's certificate carry the host that Kong sends, or set "
        "konghq.com/host-header on the Service to a name that it carries",
    ),
    Signature(
        name="kong-upstream-verification",
        logs=(KONG,),
        pattern=_kong(r"upstream SSL certificate verify error", scheme="https"),
        consequence="Kong does not trust the certificate of {upstream}",
        limits="Kong verifies only where it is told to (konghq.com/tls-verify).",
        proves=(
            *("kong/ca-certificate-not-loaded", "kong/ca-certificate-unusable"),
            *("kong/ca-certificate-id-twice", "kong/backend-tls-policy-refused"),
        ),
        severity=Severity.CRITICAL,
        confidence=Confidence.CERTAIN,
        advice="Name the authority of the backend's certificate in konghq.com/ca-certificates-secrets",
    ),
    Signature(
        name="kong-no-peer",
        logs=(KONG,),
        pattern=_kong(r"failure to get a peer from the ring-balancer"),
        consequence="Kong has no backend for {host} and answers 503",
        limits="While Pods are replaced it comes and goes.",
        proves=(
            *("service/no-ready-endpoint", "service/selects-no-pod"),
            *("service/port-without-endpoints", "service/without-selector-or-endpoints"),
            *("gateway-api/backend-missing", "ingress/backend-service-missing"),
        ),
        advice="See whether the Service behind the route has ready Pods",
    ),
    # Kong's controller
    Signature(
        name="kic-push-refused",
        logs=(KONG_CONTROLLER,),
        pattern=_controller(r"could not update kong admin|failed posting new config to /config"),
        consequence="Kong takes no new configuration: changes and renewed certificates are not served",
        limits="Once in a while, while Kong restarts, it is nothing; a later success ends it.",
        proves=(
            *("kong/configuration-rejected", "kong/plugin-not-in-kong"),
            *("kong/tls-options-without-tls-protocol", "kong/path-with-stream-protocol"),
            *("kong/route-protocols-refused", "kong/controller-does-not-fit-proxy"),
        ),
        severity=Severity.HIGH,
        needs_object=False,
        advice="Mend what the controller names in its events: kubectl get events -A "
        "--field-selector reason=KongConfigurationApplyFailed",
    ),
    Signature(
        name="kic-same-sni",
        logs=(KONG_CONTROLLER,),
        pattern=_controller(r"same SNI requested for multiple certs"),
        consequence="two Secrets are asked for under one host name, and Kong serves one of them",
        limits="It is no matter while both hold the same certificate.",
        proves=("kong/server-name-claimed-twice",),
        severity=Severity.MEDIUM,
        advice="Let one Secret serve the host name",
    ),
    Signature(
        name="kic-secret-not-fetched",
        logs=(KONG_CONTROLLER,),
        pattern=_controller(r"failed to fetch (?:the )?secret"),
        consequence="Kong goes on without the Secret {namespace}/{name}",
        limits="Before a Certificate is issued for the first time it is normal.",
        proves=(
            *("gateway-api/certificate-ref-missing", "ingress/tls-secret-missing"),
            *("kong/client-certificate-not-sent", "kong/credential-missing"),
            *("cert-manager/certificate-not-issued",),
        ),
        advice="Create the Secret, or mend the name where it is referred to",
    ),
    Signature(
        name="kic-no-grant",
        logs=(KONG_CONTROLLER,),
        pattern=_controller(
            r"no ReferenceGrant permits it|certificateRef not permitted by ReferenceGrant"
        ),
        consequence="Kong skips a reference to another namespace: no ReferenceGrant permits it",
        limits="",
        proves=("gateway-api/reference-not-granted", "gateway-api/grant-matches-nothing"),
        advice="Write a ReferenceGrant into the namespace that is referred to",
    ),
    Signature(
        name="kic-no-targets",
        logs=(KONG_CONTROLLER,),
        pattern=_controller(
            r"no targets could be found for kubernetes service|backendRef to target, but it does "
            r"not exist"
        ),
        consequence="Kong finds no backend behind {namespace}/{name}",
        limits="A Service may be scaled to nothing on purpose.",
        proves=(
            *("service/no-ready-endpoint", "service/selects-no-pod"),
            *("gateway-api/backend-missing", "ingress/backend-service-missing"),
        ),
        advice="See whether the Service exists and has ready Pods",
    ),
    # Envoy: Istio's sidecars and gateways, Envoy Gateway
    Signature(
        name="envoy-other-hosts-connection",
        logs=(GATEWAY,),
        asks=_is_foreign_request,
        consequence="a request for {host} came on the connection of {sni} and found no route",
        limits="The host must be one that the gateway serves: scanners ask for anything.",
        proves=("istio/tls-server-overlap", "gateway-api/tls-listeners-overlap"),
        confidence=Confidence.CERTAIN,
        advice="Give each server a certificate for its own hosts only, put the hosts of one "
        "certificate into one server, or answer 421 where SNI and host differ",
    ),
    Signature(
        name="envoy-left-the-mesh",
        logs=(SIDECAR, GATEWAY),
        asks=_left_the_mesh,
        consequence="a request to {upstream} left the mesh through PassthroughCluster, in plaintext",
        limits="It is as wanted for addresses outside the cluster: those do not count here.",
        proves=(
            *("istio/proxy-keeps-host", "istio/preserved-host-leaves-mesh"),
            *("istio/destination-rule-out-of-reach",),
        ),
        severity=Severity.MEDIUM,
        confidence=Confidence.CERTAIN,
        advice="Call the Service by its name, with that name as Host, or declare its port as tcp",
    ),
    Signature(
        name="envoy-no-filter-chain",
        logs=(SIDECAR,),
        asks=_no_chain,
        consequence="the sidecar closed a connection to {to}: it was not the mTLS that it demands",
        limits="Scans of ports and callers without a sidecar are refused the same way, as they "
        "should be.",
        proves=(
            *("istio/proxy-keeps-host", "istio/destination-rule-bypasses-strict-mtls"),
            *("istio/plaintext-ingress-into-strict-mtls", "istio/load-balancer-into-strict-mtls"),
            *("istio/webhook-behind-strict-mtls", "istio/preserved-host-leaves-mesh"),
            *("istio/headless-service-partly-in-mesh", "istio/strict-below-disabled-mtls"),
            *("istio/port-setting-drops-tls", "istio/inbound-port-excluded"),
            *("istio/destination-rule-out-of-reach", "istio/subset-not-declared"),
        ),
        advice="Find the caller by its address; give it a sidecar, or take the setting away that "
        "turns its mTLS off",
    ),
    Signature(
        name="envoy-upstream-verification",
        logs=(SIDECAR, GATEWAY),
        asks=_verification_fails,
        consequence="the certificate of {upstream} is not trusted",
        limits="",
        proves=(
            *("istio/private-ca-not-trusted", "gateway-api/backend-tls-authority-missing"),
            *("gateway-api/refused-by-controller",),
        ),
        severity=Severity.CRITICAL,
        confidence=Confidence.CERTAIN,
        advice="Name the authority that signed the backend's certificate, and a name that it carries",
    ),
    Signature(
        name="envoy-upstream-tls",
        logs=(SIDECAR, GATEWAY),
        asks=_tls_fails,
        consequence="the TLS handshake with {upstream} fails",
        limits="While certificates of the mesh are rotated it may happen once.",
        proves=(
            *("istio/destination-rule-demands-missing-mtls", "istio/tls-origination-to-plain-port"),
            *("istio/destination-rule-bypasses-strict-mtls", "istio/port-setting-drops-tls"),
            *("istio/external-tls-encrypted-twice", "istio/http-route-to-tls-port"),
            *("istio/headless-service-partly-in-mesh",),
        ),
        severity=Severity.CRITICAL,
        confidence=Confidence.CERTAIN,
        advice="See whether the port speaks TLS at all, and what the DestinationRule or "
        "BackendTLSPolicy asks for",
    ),
    Signature(
        name="envoy-redirect-loop",
        logs=(GATEWAY,),
        asks=_redirected_on_https,
        consequence="the listener that HTTPS comes to redirects ({route})",
        limits="Redirects are normal; it counts only for a redirect that leads back to itself.",
        proves=("aws/redirect-loop-behind-nlb", "gateway-api/redirect-loop"),
        alone=False,
    ),
    # cert-manager
    Signature(
        name="cert-manager-propagation",
        logs=(CERT_MANAGER,),
        pattern=_controller(
            r"(?:wrong status code '\d+', expected '200'|propagation check failed|"
            r"failed to perform self check GET request)"
        ),
        consequence="the way in for the challenge of {namespace}/{name} does not answer as it must",
        limits="In the first minute of a challenge it is normal.",
        proves=(
            *("cert-manager/http-solver-without-way-in", "cert-manager/certificate-not-issued"),
            *("cert-manager/renewal-overdue",),
        ),
        advice="Ask for http://HOST/.well-known/acme-challenge/TOKEN from outside; redirects to "
        "https, a class that nobody serves and missing listeners on port 80 break it",
    ),
    Signature(
        name="cert-manager-authority-refuses",
        logs=(CERT_MANAGER,),
        pattern=_controller(r"urn:ietf:params:acme:error:(?P<error>\w+)"),
        consequence="the authority refuses the certificate of {namespace}/{name}: {error}",
        limits="badNonce is answered by another try.",
        proves=("cert-manager/certificate-not-issued", "cert-manager/renewal-overdue"),
        advice="Mend what the authority names: rate limits, CAA records, accounts",
    ),
    Signature(
        name="cert-manager-not-owned",
        logs=(CERT_MANAGER,),
        pattern=_controller(r"refusing to update non-owned certificate resource"),
        consequence="cert-manager leaves the Certificate {namespace}/{name} as it is: it belongs "
        "to something else",
        limits="",
        proves=("cert-manager/certificate-of-another-owner", "cert-manager/secret-claimed-twice"),
        advice="Rename the Secret of one of the two, or delete the Certificate that is not wanted",
    ),
    Signature(
        name="cert-manager-issuer",
        logs=(CERT_MANAGER,),
        pattern=_controller(r"error setting up issuer|error initializing issuer|referenced issuer not found"),
        consequence="the issuer {namespace}/{name} issues nothing",
        limits="",
        proves=(
            *("cert-manager/issuer-not-ready", "cert-manager/issuer-missing"),
            *("cert-manager/authority-without-key-pair",),
        ),
        advice="See the condition Ready of the issuer",
    ),
)  # fmt: skip

_BY_NAME = {signature.name: signature for signature in SIGNATURES}


def match(line: str, log: str) -> Match | None:
    """The first signature that a line of such a log carries."""
    request = access_log.read(line) if log in (GATEWAY, SIDECAR) else None
    if request is not None:
        return _of_request(request, log)
    if len(line) > access_log.LONGEST:
        return None
    for signature in SIGNATURES:
        if signature.pattern is None or log not in signature.logs:
            continue
        found = signature.pattern.search(line)
        if found:
            facts = {key: value for key, value in found.groupdict().items() if value}
            if log in (KONG_CONTROLLER, CERT_MANAGER):
                facts |= dict(_object(line))
            elif "host" in facts:
                facts["host"] = access_log.host_of(facts["host"])
            return Match(signature, clean(line, LONGEST), facts)
    return None


def _of_request(request: Request, log: str) -> Match | None:
    for signature in SIGNATURES:
        if signature.asks is not None and log in signature.logs and signature.asks(request):
            facts = {
                "host": request.host,
                "sni": access_log.host_of(request.server_name),
                "upstream": request.upstream_host,
                "to": request.downstream_local,
                "from": request.downstream_remote.rpartition(":")[0],
                "route": request.route,
                "code": str(request.code),
            }
            wanted = _FACTS[signature.name]
            return Match(
                signature,
                access_log.kept(request),
                {key: value for key, value in facts.items() if value and key in wanted},
            )
    return None


#: What of a request tells lines of one signature apart.
_FACTS = {
    "envoy-other-hosts-connection": ("host", "sni"),
    "envoy-left-the-mesh": ("host", "upstream", "code"),
    "envoy-no-filter-chain": ("to", "from"),
    "envoy-upstream-verification": ("upstream",),
    "envoy-upstream-tls": ("upstream",),
    "envoy-redirect-loop": ("route", "host", "to"),
}


def _object(line: str) -> Iterator[tuple[str, str]]:
    """Namespace and name of the object that a controller's line is about."""
    pair = _PAIR.search(line)
    if pair:
        yield from pair.groupdict().items()
        return
    for pattern in _NAMED:
        found = pattern.search(line)
        if found:
            yield from found.groupdict().items()


def quotation(text: str) -> str:
    """A kept line as it is quoted."""
    request = access_log.read(text)
    return clean(str(request)) if request is not None else clean(text)
