"""What controllers say of their own accord, where nothing that is declared explains it."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Ref, Resource, Severity, Skip, kinds
from gwdoctor.evidence import event_meanings, events
from gwdoctor.resolve.involved import involved

#: The objects of the entry that controllers write warnings on.
ABOUT = (
    kinds.SERVICE,
    kinds.INGRESS,
    kinds.SECRET,
    kinds.GATEWAY,
    kinds.HTTP_ROUTE,
    kinds.GRPC_ROUTE,
    kinds.TLS_ROUTE,
    kinds.TCP_ROUTE,
    kinds.UDP_ROUTE,
    kinds.CERTIFICATE,
    kinds.CERTIFICATE_REQUEST,
    kinds.ORDER,
    kinds.CHALLENGE,
    kinds.ISSUER,
    kinds.CLUSTER_ISSUER,
    kinds.KONG_PLUGIN,
    kinds.KONG_CLUSTER_PLUGIN,
    kinds.KONG_CONSUMER,
    kinds.KONG_UPSTREAM_POLICY,
    kinds.TCP_INGRESS,
    kinds.UDP_INGRESS,
)


class ControllerWarns(Probe):
    """A controller cannot do what an object asks for.

    Controllers write events on the objects that they cannot use: Kong's on what it cannot
    translate, cert-manager's on what it cannot issue, a cloud's on load balancers that it
    cannot make. Kong says some of this nowhere else: what it leaves out is missing without any
    status that tells. Where another check finds the cause in what is declared, the event is
    quoted there as evidence; here stands what none explains.

    Not a problem where the event is older than what its controller repeats (ten minutes for
    Kong, an hour for others), where it is about an earlier object of that name, or where the
    object has become ready since: such events are passed over.

    Check it yourself:

    ```sh
    kubectl get events -A --field-selector type=Warning --sort-by=.lastTimestamp
    ```

    Source: Kong/kubernetes-ingress-controller 3.5 internal/dataplane (translation failures);
    cert-manager 1.21 pkg/controller (events of its controllers).

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: cart, namespace: shop}
    spec: {selector: {app: cart}, ports: [{name: http, port: 80}]}
    ---
    apiVersion: v1
    kind: Event
    metadata: {name: cart.17, namespace: shop}
    type: Warning
    reason: KongConfigurationTranslationFailed
    message: "can't find port for backend kubernetes service: no suitable port found"
    count: 12
    lastTimestamp: "2026-11-21T11:58:00Z"
    involvedObject: {apiVersion: v1, kind: Service, name: cart, namespace: shop}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.LIKELY
    subjects = (kinds.EVENT,)
    needs = ABOUT
    symptoms = (
        "KongConfigurationTranslationFailed",
        "failed to construct certificate from secret",
        "can't find port for backend kubernetes service",
    )

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """The last event of each object and meaning."""
        latest: dict[tuple[Ref, event_meanings.Meaning], Resource] = {}
        for event in cluster[kinds.EVENT]:
            about = involved(event)
            if about is None or event.text("type") == "Normal" or about.kind not in ABOUT:
                continue
            meaning = event_meanings.meaning(
                event.text("reason"), about.kind.name, event.text("message")
            )
            if meaning is None or cluster.now - events.last(event) > meaning.fresh:
                continue
            key = about, meaning
            if key not in latest or _order(latest[key]) < _order(event):
                latest[key] = event
        for (about, meaning), event in latest.items():
            found = cluster.find(about)
            if not cluster.sees(about.kind, about.namespace):
                found = found or event  # it is there, for all we know
            if found is None or (found is not event and events.is_over(event, found)):
                continue
            quoted = events.quoted(event, about)
            yield self.finding(
                found,
                f"{meaning.consequence}: {quoted.text.partition(': ')[2].rstrip('. ')}",
                severity=meaning.severity,
                evidence=(quoted,),
                proves=meaning.proves,
                concerns=(about,),
                marker=meaning.consequence,
                advice="Mend what the event names; the controller tries again by itself, and the "
                "event is not repeated then",
            )


def _order(event: Resource) -> tuple[object, ...]:
    return events.last(event), event.ref
