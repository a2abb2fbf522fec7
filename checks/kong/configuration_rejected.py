"""One bad object, and nothing changes any more."""

from collections.abc import Iterator
from datetime import timedelta

from gwdoctor import (
    Cluster,
    Confidence,
    Field,
    Finding,
    Probe,
    Ref,
    Resource,
    Severity,
    Skip,
    kinds,
)
from gwdoctor.evidence import event_meanings, events
from gwdoctor.resolve.involved import involved

_FAILED = "KongConfigurationApplyFailed"
_SUCCEEDED = "KongConfigurationSucceeded"
#: The controller tries every few seconds; its events come at least this often while it fails.
_FRESH = timedelta(minutes=30)


class ConfigurationRejected(Probe):
    """Kong refuses its configuration: no change of any object takes effect.

    Without a database the whole configuration is one document. One object that Kong's schema
    refuses makes it refuse all: Kong goes on serving what it took last, so existing routes work,
    and new ones, changed ones and renewed certificates do not. The controller writes an event on
    its Pod and one on the object at fault, where it can tell which.

    Not a problem where a later event says that the configuration succeeded. An event older than
    half an hour is told as possible: it may be over.

    Check it yourself:

    ```sh
    kubectl get events -A --field-selector reason=KongConfigurationApplyFailed
    ```

    Source: Kong/kubernetes-ingress-controller 3.5, internal/dataplane/kong_client.go.

    ```yaml bad
    apiVersion: v1
    kind: Event
    metadata: {name: shop.17, namespace: shop}
    type: Warning
    reason: KongConfigurationApplyFailed
    message: "invalid methods: cannot set 'methods' when 'protocols' is 'grpc' or 'grpcs'"
    count: 40
    lastTimestamp: "2026-11-21T11:59:00Z"
    involvedObject: {apiVersion: networking.k8s.io/v1, kind: Ingress, name: shop, namespace: shop}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.EVENT,)
    symptoms = (
        "failed to apply Kong configuration to",
        "failed posting new config to /config",
        "HTTP status 400",
        "KongConfigurationApplyFailed",
    )

    def run(self, cluster: Cluster) -> Iterator[Finding | Skip]:
        """The last failure of each object, unless a success came after all of them."""
        last: dict[Ref, Resource] = {}
        succeeded = events.LONG_AGO
        for event in cluster[kinds.EVENT]:
            when, about = events.last(event), involved(event)
            if event.text("reason") == _SUCCEEDED:
                succeeded = max(succeeded, when)
            elif event.text("reason") == _FAILED and about is not None:
                known = last.get(about)
                if known is None or events.last(known) < when:
                    last[about] = event
        standing = {about: e for about, e in last.items() if events.last(e) > succeeded}
        pods = {about: e for about, e in standing.items() if about.kind.name == "Pod"}
        objects = {about: e for about, e in standing.items() if about not in pods}
        for about, event in (objects or pods).items():
            words = " ".join(event.text("message").split()).rstrip(". ")
            old = cluster.now - events.last(event) > _FRESH
            refusal = event_meanings.meaning(
                _FAILED, about.kind.name, event.text("message"), event_meanings.REFUSALS
            )
            spot: Field = cluster.find(about) or event
            yield self.finding(
                spot,
                f"Kong refused the configuration because of {about}: {words[:250]} "
                f"(last at {events.last(event):%Y-%m-%d %H:%M} UTC)",
                confidence=Confidence.POSSIBLE if old else Confidence.CERTAIN,
                because=(event, *(cluster.find(pod) or pods[pod] for pod in pods if objects)),
                advice="Mend or delete the object that the message is about; the controller "
                "tries again within seconds. The feature gate FallbackConfiguration (3.2 and "
                "newer) confines such an object to itself",
                evidence=() if old else (events.quoted(event, about),),
                proves=refusal.proves if refusal and not old else (),
                concerns=(about,),
            )
