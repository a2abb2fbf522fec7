"""What the controller itself says is wrong, where no other check knows why."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Field, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api, status

#: Reasons that follow from others, or that pass by themselves.
_ECHOES = (
    "Pending",
    "Waiting",
    "ListenersNotValid",
    "ListenersNotResolved",
    "ListenerSetsNotValid",
    "Invalid",
    "NotProgrammed",
)
#: Reasons whose rule gwdoctor has: where it sees the same, the check of that rule says more.
_OF_ATTACHING = ("NoMatchingParent", "NotAllowedByListeners", "NoMatchingListenerHostname")
_OF_BACKENDS = ("RefNotPermitted", "BackendNotFound", "InvalidKind", "PortNotFound")
_OF_OBJECTS = (
    "RefNotPermitted",
    "ProtocolConflict",
    "HostnameConflict",
    "UnsupportedProtocol",
    "InvalidRouteKinds",
    "NotAllowed",
    "TargetNotFound",
    "Conflicted",
    "NoValidCACertificate",
    "InvalidCACertificateRef",
)
_POSITIVE = ("Accepted", "Programmed", "ResolvedRefs", "BackendsAvailable")


class RefusedByController(Probe):
    """The controller refuses this, or a part of it, and says why.

    Conditions with status False that speak of the object as it is (`observedGeneration` equals
    `generation`). Reasons with a rule of their own are told by the checks of those rules, which
    also know a way out; those that only repeat another condition are left out.

    Not a problem while a load balancer or Pod is just coming up: look again in a minute.

    ```sh
    kubectl describe gateway edge -n infra
    ```

    Source: gateway-api 1.6, apis/v1 (conditions and reasons).

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra, generation: 2}
    spec:
      gatewayClassName: eg
      listeners:
      - {name: http, port: 80, protocol: HTTP}
    status:
      conditions:
      - type: Programmed
        status: "False"
        reason: AddressNotAssigned
        message: No addresses have been assigned to the Gateway
        observedGeneration: 2
        lastTransitionTime: "2026-11-21T10:00:00Z"
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (
        kinds.GATEWAY,
        kinds.LISTENER_SET,
        *gateway_api.ROUTES,
        kinds.BACKEND_TLS_POLICY,
    )
    needs = (kinds.NAMESPACE,)

    def check(self, subject: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each condition that is False, current and without a check of its own."""
        told = set()
        for spot, where in _conditions(subject):
            kind, reason = spot.text("type"), spot.text("reason")
            if kind not in _POSITIVE or spot.text("status") != "False":
                continue
            if reason in _ECHOES and not (reason == "Invalid" and kind == "Accepted"):
                continue
            if not reason or not status.is_current(subject, spot):
                continue
            if _is_explained(subject, reason, cluster):
                continue
            text = " ".join(spot.text("message").split()).rstrip(".")
            if (reason, text) in told:
                continue
            told.add((reason, text))
            yield self.finding(
                spot,
                f"{where}{kind} is False, {reason}: {text or 'without a message'}",
                severity=Severity.HIGH
                if kind in ("ResolvedRefs", "BackendsAvailable")
                else Severity.CRITICAL,
                advice="Mend what the controller names; its log tells more",
                marker=f"{where}{kind}",
            )


def _is_explained(subject: Resource, reason: str, cluster: Cluster) -> bool:
    """Whether the check of this rule sees it too; what only the controller sees is told here."""
    if subject.ref.kind not in gateway_api.ROUTES:
        return reason in _OF_OBJECTS
    if reason in _OF_ATTACHING:
        parents = gateway_api.parents(subject, cluster)
        return any(gateway_api.refusal(parent, cluster) for parent in parents)
    backends = gateway_api.backend_refs(subject)
    known = all(backend.kind in (kinds.SERVICE, kinds.BACKEND) for backend in backends)
    return reason in _OF_BACKENDS and known


def _conditions(subject: Resource) -> Iterator[tuple[Field, str]]:
    for condition in subject.each("status", "conditions"):
        yield condition, ""
    for listener in subject.each("status", "listeners"):
        for condition in listener.each("conditions"):
            yield condition, f"listener {listener.text('name')}: "
    for owner, reference in (("parents", "parentRef"), ("ancestors", "ancestorRef")):
        for entry in subject.each("status", owner):
            for condition in entry.each("conditions"):
                yield condition, f"at {entry.text(reference, 'name')}: "
