"""DestinationRules: which one a client uses for a host, and what TLS it gives to a port.

Rules: istio/istio 1.32 pilot/pkg/model/push_context.go, destination_rule.go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gwdoctor import kinds
from gwdoctor.cluster import Cluster
from gwdoctor.model import Field, Resource, of_resource
from gwdoctor.resolve import istio_mesh

#: A client in a namespace that no DestinationRule speaks of by name.
ANYWHERE = "*"


def host_of(rule: Resource, cluster: Cluster) -> str:
    """The host of a DestinationRule, short names grown to full ones."""
    return istio_mesh.full_host(rule.text("spec", "host"), rule.namespace, cluster)


def by_host(cluster: Cluster) -> Mapping[tuple[str, str], Sequence[Resource]]:
    """DestinationRules by (namespace, host), oldest first."""
    return cluster.derive(_by_host)


def _by_host(cluster: Cluster) -> Mapping[tuple[str, str], Sequence[Resource]]:
    index: dict[tuple[str, str], list[Resource]] = defaultdict(list)
    for rule in istio_mesh.by_age(cluster, kinds.DESTINATION_RULE):
        index[rule.namespace, host_of(rule, cluster)].append(rule)
    return index


def selected(
    cluster: Cluster, client_namespace: str, host: str, service_namespace: str
) -> Sequence[Resource]:
    """The DestinationRules that proxies of a namespace use for a host; several are merged.

    Looked for in the client's namespace, then the service's, then the root namespace; the first
    that has one wins, whatever the others say, and in it the most specific host. Those with a
    workloadSelector are left out: they are for some clients only. `client_namespace` may be
    ANYWHERE. Raises OutOfView where a namespace that comes first may hide one.
    """
    root = istio_mesh.mesh(cluster).root_namespace
    if client_namespace not in (ANYWHERE, root):
        found = _in_namespace(cluster, client_namespace, host)
        if found:
            return found
    if client_namespace == root:
        found = _in_namespace(cluster, root, host)
        if found:
            return found
    for place in dict.fromkeys((service_namespace, root)):
        found = [
            rule
            for rule in _in_namespace(cluster, place, host)
            if istio_mesh.exports(rule, cluster) == istio_mesh.ALL
            or (
                client_namespace != ANYWHERE
                and istio_mesh.is_exported(rule, client_namespace, cluster)
            )
        ]
        if found:
            return found
    return ()


def _in_namespace(cluster: Cluster, namespace: str, host: str) -> Sequence[Resource]:
    if not namespace:
        return ()
    cluster.within(kinds.DESTINATION_RULE, namespace)
    index = by_host(cluster)
    for name in istio_mesh.generalisations(host):
        found = [
            r for r in index.get((namespace, name), ()) if not r.has("spec", "workloadSelector")
        ]
        if found:
            return found
    return ()


def clients(rule: Resource, service_namespace: str, cluster: Cluster) -> tuple[str, ...]:
    """The namespaces whose proxies could use a DestinationRule for a Service of that namespace."""
    root = istio_mesh.mesh(cluster).root_namespace
    own = (rule.namespace,)
    if rule.namespace not in (service_namespace, root):
        return own
    seen_in = istio_mesh.exports(rule, cluster)
    return (*own, ANYWHERE) if seen_in == istio_mesh.ALL else tuple(dict.fromkeys(own + seen_in))


def applies(rule: Resource, host: str, service_namespace: str, cluster: Cluster) -> bool:
    """Whether some client takes its traffic policy for a host from this DestinationRule.

    Of several that are merged only the oldest with a trafficPolicy gives one.
    """
    return cluster.derive(_applies, rule, host, service_namespace)


def _applies(cluster: Cluster, rule: Resource, host: str, service_namespace: str) -> bool:
    return any(
        cluster.derive(_giving, client, host, service_namespace) == rule
        for client in clients(rule, service_namespace, cluster)
    )


def _giving(
    cluster: Cluster, client_namespace: str, host: str, service_namespace: str
) -> Resource | None:
    merged = selected(cluster, client_namespace, host, service_namespace)
    giving = (rule for rule in merged if rule.has("spec", "trafficPolicy"))
    return next(giving, merged[0] if merged else None)


def scope(rule: Resource, cluster: Cluster) -> str | None:
    """The namespace that a wildcard host stands for; "" for the whole mesh, None for neither."""
    host, domain = host_of(rule, cluster), istio_mesh.mesh(cluster).domain
    if not host.startswith("*"):
        return None
    suffix = host.removeprefix("*").removeprefix(".")
    if suffix in ("", "local", domain, f"svc.{domain}"):
        return ""
    namespace = suffix.removesuffix(f".svc.{domain}")
    return namespace if namespace != suffix and "." not in namespace else None


def sees_workloads(place: str, cluster: Cluster) -> bool:
    """Whether all Services and Pods of a scope are seen."""
    return cluster.sees(kinds.SERVICE, place) and cluster.sees(kinds.POD, place)


def has_clients(rule: Resource, service_namespace: str, cluster: Cluster) -> bool:
    """Whether any proxy looks for a DestinationRule of this namespace for such a Service.

    Raises OutOfView where the Pods of its namespace cannot be seen.
    """
    if rule.namespace in (service_namespace, istio_mesh.mesh(cluster).root_namespace):
        return True
    cluster.within(kinds.POD, rule.namespace)
    return rule.namespace in cluster.derive(_namespaces_with_proxies)


def _namespaces_with_proxies(cluster: Cluster) -> frozenset[str]:
    return frozenset(
        pod.namespace
        for pod in cluster[kinds.POD]
        if istio_mesh.has_sidecar(pod) or istio_mesh.is_gateway(pod) or istio_mesh.is_ambient(pod)
    )


def covered_services(rule: Resource, cluster: Cluster) -> Sequence[Resource]:
    """The Services that the host of a DestinationRule names; many for a wildcard."""
    host = host_of(rule, cluster)
    if "*" not in host:
        found = istio_mesh.service_of(host, rule.namespace, cluster)
        return (found,) if found is not None else ()
    place = scope(rule, cluster)
    if place is None:
        return ()
    return cluster.within(kinds.SERVICE, place) if place else cluster[kinds.SERVICE]


@dataclass(frozen=True, slots=True)
class ClientTls:
    """The TLS settings of a DestinationRule for a Service port. `subset` is empty for none."""

    field: Field  #: the `tls` block
    subset: str = ""

    @property
    def mode(self) -> str:
        """DISABLE, SIMPLE, MUTUAL or ISTIO_MUTUAL; "" where auto mTLS decides."""
        return self.field.text("mode") or ("DISABLE" if self.field.has() else "")


@of_resource
def tls_blocks(rule: Resource) -> tuple[Field, ...]:
    """Every `tls` block of a DestinationRule: of its policy, of single ports, of subsets."""
    policies = [rule.at("spec", "trafficPolicy")]
    policies += [subset.at("trafficPolicy") for subset in rule.each("spec", "subsets")]
    return tuple(
        block
        for policy in policies
        for block in (policy.at("tls"), *(s.at("tls") for s in policy.each("portLevelSettings")))
        if block.has()
    )


def client_tls(rule: Resource, port: int | None) -> Iterator[ClientTls]:
    """The TLS block that counts for a port, and those of the subsets that differ.

    A portLevelSettings entry for the port takes the place of the whole policy: without `tls` it
    leaves the port to auto mTLS.
    """
    policy = rule.at("spec", "trafficPolicy")
    general = _for_port(policy, port)
    if general is not None and general.has():
        yield ClientTls(general)
    for subset in rule.each("spec", "subsets"):
        own = _for_port(subset.at("trafficPolicy"), port)
        if own is not None and own.has():
            yield ClientTls(own, subset.text("name"))


def _for_port(policy: Field, port: int | None) -> Field | None:
    for setting in policy.each("portLevelSettings"):
        if setting.number("port", "number") == port:
            return setting.at("tls")
    return policy.at("tls")


def originates_tls(rules: Iterable[Resource], port: int | None, subset: str = "") -> bool:
    """Whether one of these DestinationRules makes its clients speak a TLS of their own to a port."""
    for rule in rules:
        for tls in client_tls(rule, port):
            if tls.subset in ("", subset) and tls.mode in ("SIMPLE", "MUTUAL"):
                return True
    return False


def anywhere(cluster: Cluster, host: str) -> Iterator[Resource]:
    """Every DestinationRule for a host or for a wildcard over it, in whatever namespace."""
    index = cluster.derive(_hosts)
    for name in istio_mesh.generalisations(host):
        yield from index.get(name, ())


def _hosts(cluster: Cluster) -> Mapping[str, Sequence[Resource]]:
    index: dict[str, list[Resource]] = defaultdict(list)
    for (_, host), rules in by_host(cluster).items():
        index[host] += rules
    return index
