"""What the warnings of controllers mean: data, one entry a reason and a part of its message.

Sources: Kong/kubernetes-ingress-controller 3.5 (internal/dataplane/failures, kongstate,
translator), cert-manager 1.21 (pkg/controller, internal/controller/certificates/policies).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from gwdoctor.model import Severity

_KONG = ("KongConfigurationTranslationFailed", "FallbackKongConfigurationTranslationFailed")
_APPLY = ("KongConfigurationApplyFailed", "FallbackKongConfigurationApplyFailed")
#: Kong's controller tries every few seconds; what it still complains about it says at least
#: every five minutes (the recorder of client-go lets one event in five minutes through).
KONG_REPEATS = timedelta(minutes=10)
#: What the API server keeps events for, unless it is told otherwise.
KEPT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Meaning:
    """An event of one of these reasons with this in its message, and what it says."""

    reasons: tuple[str, ...]
    contains: str
    consequence: str  #: begins a sentence that the message of the event ends
    proves: tuple[str, ...] = ()  #: the checks that find its cause in what is declared
    severity: Severity = Severity.HIGH
    fresh: timedelta = KEPT  #: an event older than this tells of the past
    kinds: tuple[str, ...] = ()  #: only on objects of these; empty: of any


def _kong(
    contains: str, consequence: str, *proves: str, severity: Severity | None = None
) -> Meaning:
    return Meaning(
        _KONG,
        contains,
        consequence,
        tuple(f"kong/{name}" if "/" not in name else name for name in proves),
        severity or Severity.HIGH,
        KONG_REPEATS,
    )


def _cert_manager(
    reasons: str, contains: str, consequence: str, *proves: str, kinds: str = ""
) -> Meaning:
    checks = tuple(f"cert-manager/{name}" for name in proves)
    return Meaning(
        tuple(reasons.split()), contains, consequence, checks, kinds=tuple(kinds.split())
    )


#: The first that fits counts.
MEANINGS: tuple[Meaning, ...] = (
    # Kong's controller, translating objects
    _kong(
        "annotation has invalid value",
        "Kong goes on without the value of an annotation",
        *("annotation-value-ignored", "upstream-protocol-invalid"),
        severity=Severity.MEDIUM,
    ),
    _kong("has inconsistent", "Kong drops the whole rule", "services-of-one-rule-disagree"),
    _kong("no grant found to referenced", "Kong goes on without a plugin", "plugin-without-grant"),
    _kong(
        "referenced KongPlugin or KongClusterPlugin",
        "Kong goes on without a plugin",
        "plugin-missing",
    ),
    _kong("KongPlugin", "Kong goes on without a plugin", "plugin-missing", "plugin-without-grant"),
    _kong(
        "Failed to fetch secret for CA Certificate",
        "Kong cannot verify the backend",
        *("ca-certificate-not-loaded", "ca-certificate-unusable"),
    ),
    _kong(
        "Failed to fetch the secret (",
        "Kong serves its own certificate",
        *("ingress/tls-secret-missing", "cert-manager/certificate-not-issued"),
    ),
    _kong(
        "Failed to fetch secret",
        "Kong goes on without a Secret",
        *("client-certificate-not-sent", "gateway-api/certificate-ref-missing"),
        *("ingress/tls-secret-missing", "credential-missing"),
    ),
    _kong(
        "failed to construct certificate from secret",
        "Kong serves its own certificate",
        *("tls/key-of-another-certificate", "tls/secret-without-key-pair"),
        *("ingress/tls-secret-missing",),
    ),
    _kong(
        "CA certificates requested for",
        "Kong does not verify the backend",
        *("ca-certificates-without-tls-verify", "tls-options-without-tls-protocol"),
    ),
    _kong(
        "Client certificate requested for incompatible service protocol",
        "Kong shows the backend no client certificate",
        "client-certificate-not-sent",
    ),
    _kong("missing 'id' field in data", "Kong drops the CA certificate", "ca-certificate-unusable"),
    _kong("duplicate 'id' field", "Kong drops the CA certificate", "ca-certificate-id-twice"),
    _kong('neither "cert" nor', "Kong drops the CA certificate", "ca-certificate-unusable"),
    _kong("invalid PEM block", "Kong drops the CA certificate", "ca-certificate-unusable"),
    _kong("multiple PEM certificates", "Kong drops the CA certificate", "ca-certificate-unusable"),
    _kong("missing the 'CA' basic", "Kong drops the CA certificate", "ca-certificate-unusable"),
    _kong(
        "can't find port for backend kubernetes service",
        "Kong leads nowhere for this backend",
        *("gateway-api/backend-port-missing", "ingress/backend-port-missing"),
    ),
    _kong(
        "can't add target for backend",
        "Kong leads nowhere for this backend",
        *("gateway-api/backend-missing", "ingress/backend-service-missing"),
        *("service/no-ready-endpoint", "service/selects-no-pod"),
    ),
    _kong(
        "failed to resolve Kubernetes Service for backend",
        "Kong leads nowhere for this backend",
        *("gateway-api/backend-missing", "ingress/backend-service-missing"),
    ),
    _kong(
        "has more than one certificateRef",
        "Kong serves its own certificate",
        "listener-with-two-certificates",
    ),
    _kong(
        "Multiple BackendTLSPolicies attached",
        "Kong takes none of the policies",
        "gateway-api/backend-tls-policies-on-one-target",
    ),
    _kong(
        "failed fetching KongUpstreamPolicy",
        "Kong balances without the policy",
        "upstream-policy-missing",
    ),
    _kong(
        "lacks konghq.com/credential label",
        "Kong does not know this credential",
        "credential-unusable",
    ),
    _kong("no username or custom_id", "Kong drops the consumer", "consumer-without-name"),
    _kong("conflicting credential", "Kong drops a credential", "credential-unusable"),
    _kong("", "Kong leaves out what it cannot translate"),
    # cert-manager
    _cert_manager(
        "BadConfig",
        "may not be set",
        "cert-manager makes no Certificate for it",
        "contradicting-issuer-annotations",
    ),
    _cert_manager(
        "BadConfig",
        "must only appear in a single TLS entry",
        "cert-manager makes no Certificate for it",
        "secret-name-repeated",
    ),
    _cert_manager(
        "BadConfig",
        "Skipped a",
        "cert-manager makes no Certificate for a part of it",
        "tls-entry-without-certificate",
    ),
    _cert_manager(
        "BadConfig",
        "",
        "cert-manager makes no Certificate for it",
        *("annotation-duration-unreadable", "contradicting-issuer-annotations"),
        *("certificate-of-another-owner", "tls-entry-without-certificate"),
    ),
    _cert_manager(
        "IssuerNotFound",
        "",
        "the certificate is not issued",
        *("issuer-missing", "certificate-not-issued"),
    ),
    _cert_manager(
        "IssuerNotReady",
        "",
        "the certificate is not issued",
        *("issuer-not-ready", "certificate-not-issued"),
    ),
    _cert_manager(
        "ErrInitIssuer ErrGetKeyPair ErrInvalidKeyPair ErrRegisterACMEAccount "
        "ErrVerifyACMEAccount ErrUpdateACMEAccount VaultError VaultInitError",
        "",
        "the issuer issues nothing",
        *("issuer-not-ready", "authority-without-key-pair"),
    ),
    _cert_manager(
        "CannotRegenerateKey",
        "",
        "the certificate is not renewed: its key does not fit what is asked for",
        *("certificate-not-issued", "renewal-overdue", "private-key-never-rotated"),
    ),
    _cert_manager("DecodeFailed", "", "the certificate is not renewed", "certificate-not-issued"),
    _cert_manager(
        "SecretMissing SecretGetError SecretInvalidData",
        "",
        "the certificate is not issued",
        *("authority-without-key-pair", "certificate-not-issued", "issuer-not-ready"),
        kinds="CertificateRequest Certificate Issuer ClusterIssuer",
    ),
    _cert_manager(
        "PresentError",
        "",
        "the authority cannot validate the name",
        *("certificate-not-issued", "http-solver-without-way-in"),
        kinds="Challenge",
    ),
    _cert_manager(
        "Failed InvalidOrder OrderFailed SigningError ErrorSigning RequestParsingError Solver "
        "RequestFailed",
        "",
        "the certificate is not issued",
        *("certificate-not-issued", "renewal-overdue", "wildcard-without-dns-solver"),
        kinds="Certificate CertificateRequest Order Challenge",
    ),
    # what makes load balancers for Services and Ingresses
    Meaning(
        ("SyncLoadBalancerFailed", "FailedDeployModel", "FailedBuildModel", "CreatingLoadBalancerFailed"),
        "",
        "its load balancer is not as it is declared",
        (
            *("aws/annotation-value-refused", "aws/certificate-takes-every-port"),
            *("aws/ssl-port-not-on-service", "aws/targets-need-node-ports"),
        ),
        kinds=("Service", "Ingress"),
    ),
)  # fmt: skip

#: Kong took nothing at all: which part of its configuration it refused (kong/configuration-rejected).
REFUSALS: tuple[Meaning, ...] = (
    Meaning(
        _APPLY,
        "failed conditional validation given value of field 'protocol'",
        "",
        ("kong/tls-options-without-tls-protocol", "kong/path-with-stream-protocol"),
    ),
    Meaning(_APPLY, "invalid path: value must be null", "", ("kong/path-with-stream-protocol",)),
    Meaning(_APPLY, "when 'protocols' is", "", ("kong/route-protocols-refused",)),
    Meaning(_APPLY, "not enabled; add it to the 'plugins'", "", ("kong/plugin-not-in-kong",)),
    Meaning(
        _APPLY, "certificate does not match key", "", ("tls/key-of-another-certificate",)
    ),
    Meaning(_APPLY, "UNIQUE violation detected on", "", ("kong/server-name-claimed-twice",)),
    Meaning(_APPLY, "value must be null", "", ("kong/controller-does-not-fit-proxy",)),
)  # fmt: skip


def meaning(
    reason: str, kind: str, message: str, of: tuple[Meaning, ...] = MEANINGS
) -> Meaning | None:
    """What such an event says; None where nothing is known of it."""
    return next(
        (
            known
            for known in of
            if reason in known.reasons
            and known.contains in message
            and (not known.kinds or kind in known.kinds)
        ),
        None,
    )
