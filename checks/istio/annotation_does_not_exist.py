"""Annotations under Istio's domains that Istio has never heard of."""

from collections.abc import Iterator, Mapping
from shlex import quote

from gwdoctor import Cluster, Finding, Fix, Kind, Probe, Resource, Severity, kinds
from gwdoctor.resolve import istio_annotations, istio_mesh


class AnnotationDoesNotExist(Probe):
    """An annotation has no effect: Istio does not know it.

    No annotation sets the protocol of a Service port. `networking.istio.io/service-protocol`,
    which many answers recommend, is read by nothing: the protocol comes from `appProtocol`, or
    from the port name up to its first `-`. Other keys are known in one spelling only:
    `traffic.sidecar.istio.io/excludeInboundPorts` is, `.../exclude-inbound-ports` is not.
    The API server takes them all.

    Not a problem for keys that look like none that exists: a newer Istio may have them.

    ```sh
    kubectl get services -A -o yaml | grep -n 'istio.io/'
    ```

    Source: istio.io/api annotation/annotations.gen.go (1.32); pkg/config/kube/conversion.go.

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata:
      name: prometheus
      namespace: monitoring
      annotations: {networking.istio.io/service-protocol: tcp}
    spec: {selector: {app: prometheus}, ports: [{name: http-web, port: 9090}]}
    ```

    ```yaml fixed
    spec:
      ports: [{name: http-web, port: 9090, appProtocol: tcp}]
    ```
    """

    severity = Severity.HIGH
    subjects = (
        kinds.SERVICE,
        kinds.NAMESPACE,
        kinds.INGRESS,
        kinds.ISTIO_GATEWAY,
        kinds.VIRTUAL_SERVICE,
        kinds.POD,
    )
    symptoms = ("PassthroughCluster",)

    def check(self, subject: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Each annotation that pretends to set a protocol, or is a near miss of a real one."""
        for key in subject.annotations:
            if istio_annotations.names_protocol(key):
                yield from self._protocol(subject, key)
                continue
            meant = istio_annotations.meant_by(key)
            is_label = key in istio_annotations.LABELS and subject.ref.kind == kinds.NAMESPACE
            if meant and not subject.annotation(meant):
                if subject.ref.kind == kinds.POD and not _is_first(subject, key, cluster):
                    continue  # one of many from one template
                yield self._near_miss(subject, key, meant)
            elif is_label and not subject.label(key):
                yield self._label(subject, key)

    def _protocol(self, subject: Resource, key: str) -> Iterator[Finding]:
        value = subject.annotation(key)
        wanted = istio_mesh.protocol_named(value)
        ports = [
            port
            for port in subject.each("spec", "ports")
            if port.number("port") is not None and port.text("protocol") != "UDP"
        ]
        other = [port for port in ports if istio_mesh.protocol(port) != wanted]
        if wanted and ports and not other:
            return  # the ports say the same: superfluous, and harmless
        taken = ", ".join(
            f"port {port.number('port')} ({istio_mesh.declaration(port)}) is "
            + (istio_mesh.protocol(port) or "sniffed")
            for port in other
        )
        fix = None
        if wanted and other:
            change = subject.changed(*other[0].path, "appProtocol", to=value.lower())
            for port in other[1:]:
                change = change.changed(*port.path, "appProtocol", to=value.lower())
            fix = Fix(
                f"Declare the ports as {value.lower()}",
                (change,),
                needs_review=True,
                commands=(_removal(subject, key),),
            )
        is_http = any(istio_mesh.protocol(port) in istio_mesh.HTTP for port in other)
        yield self.finding(
            subject.at("metadata", "annotations", key),
            f"{key}: {value} is read by nothing" + (f"; {taken}" if taken else ""),
            severity=None if is_http else Severity.MEDIUM,
            because=tuple(other),
            fix=fix,
            advice="Say with appProtocol on the Service's ports what they speak, and remove the "
            "annotation",
        )

    def _near_miss(self, subject: Resource, key: str, meant: str) -> Finding:
        fix = None
        if subject.ref.kind != kinds.POD:  # a Pod is made from a template that is to be mended
            change = subject.changed("metadata", "annotations", meant, to=subject.annotation(key))
            fix = Fix(
                f"Write {meant}",
                (change,),
                needs_review=True,
                commands=(_removal(subject, key),),
            )
        return self.finding(
            subject.at("metadata", "annotations", key),
            f"{key} is read by nothing; the annotation that exists is {meant}",
            severity=Severity.MEDIUM,
            fix=fix,
            advice=f"Write {meant} in the template that the Pod is made from",
        )

    def _label(self, subject: Resource, key: str) -> Finding:
        value = subject.annotation(key)
        change = subject.changed("metadata", "labels", key, to=value)
        return self.finding(
            subject.at("metadata", "annotations", key),
            f"{key} is read as a label, and here it is an annotation",
            severity=Severity.MEDIUM,
            fix=Fix(
                "Make it a label",
                (change,),
                needs_review=True,
                commands=(_removal(subject, key),),
            ),
        )


def _is_first(pod: Resource, key: str, cluster: Cluster) -> bool:
    return cluster.derive(_first_pods).get((pod.namespace, key)) == pod


def _first_pods(cluster: Cluster) -> Mapping[tuple[str, str], Resource]:
    """The first Pod of each namespace that has an annotation that may be a near miss."""
    first: dict[tuple[str, str], Resource] = {}
    for pod in cluster[kinds.POD]:
        for key in pod.annotations:
            first.setdefault((pod.namespace, key), pod)
    return first


def _removal(subject: Resource, key: str) -> str:
    kind: Kind = subject.ref.kind
    name = f"{kind.name.lower()}{'.' + kind.group if kind.group else ''} {quote(subject.name)}"
    place = f" -n {quote(subject.namespace)}" if subject.namespace else ""
    return f"kubectl annotate {name}{place} {quote(f'{key}-')}"
