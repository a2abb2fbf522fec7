"""sectionName and port that pick no listener."""

import difflib
from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import gateway_api
from gwdoctor.resolve.gateway_api import Parent


class ParentListenerMissing(Probe):
    """Nobody serves this route: its sectionName or port picks no listener.

    `sectionName` is the *name* of a listener, `port` its port; given both, one listener has to
    fit both. The listeners of a ListenerSet are not listeners of its Gateway: a route needs a
    parentRef of `kind: ListenerSet` to reach them.

    Not a problem where the controller accepted the route as it is now.

    ```sh
    kubectl get gateway edge -n infra -o jsonpath='{range .spec.listeners[*]}{.name} {.port}{"\\n"}{end}'
    ```

    Source: gateway-api 1.6 conformance, httproute-invalid-parentref-* (NoMatchingParent).

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      listeners:
      - {name: http, port: 80, protocol: HTTP}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: web, namespace: infra}
    spec:
      parentRefs: [{name: edge, sectionName: http, port: 8080}]
      rules: [{backendRefs: [{name: web, port: 8080}]}]
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: web, namespace: infra}
    spec:
      parentRefs: [{name: edge, sectionName: http, port: 80}]
    ```
    """

    severity = Severity.CRITICAL
    subjects = gateway_api.ROUTES
    needs = gateway_api.PARENT_NEEDS
    symptoms = (
        "NoMatchingParent",
        "404 Not Found",
        "404 NR route_not_found",
        "no Route matched with those values",
    )

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Parents that exist and have no such listener."""
        for parent in gateway_api.parents(route, cluster):
            if parent.owner is None or parent.selected or gateway_api.accepted(parent):
                continue
            there = ", ".join(
                f"{one.name} ({one.port})" for one in gateway_api.listeners(parent.owner)
            )
            section, port = parent.field.text("sectionName"), parent.field.number("port")
            asked = " and ".join(
                text
                for text in (
                    f"name {section}" if section else "",
                    f"port {port}" if port is not None else "",
                )
                if text
            )
            if not asked:
                continue  # a Gateway without listeners
            fix = _fix(parent, cluster)
            yield self.finding(
                parent.field,
                f"{parent.owner.ref} has no listener with {asked}; it has {there}",
                root=route,
                marker=gateway_api.section_of(parent.field),
                because=(parent.owner,),
                fix=fix,
                advice="" if fix else f"Choose one of its listeners: {there}",
            )


def _fix(parent: Parent, cluster: Cluster) -> Fix | None:
    """The port of the named listener, the ListenerSet that has it, or the name that was meant."""
    owner, reference, route = parent.owner, parent.field, parent.route
    if owner is None:
        return None
    section = reference.text("sectionName")
    by_name = {one.name: one for one in gateway_api.listeners(owner)}
    if section in by_name:
        change = route.changed(*reference.path, "port", to=by_name[section].port)
        return Fix("Name the port that this listener has", (change,), needs_review=True)
    if owner.ref.kind == kinds.GATEWAY and section:
        for listener_set in gateway_api.listener_sets(owner, cluster):
            names = {one.name: one.port for one in gateway_api.listeners(listener_set)}
            if section in names and reference.number("port") in (None, names[section]):
                change = route.changed(*reference.path, "kind", to="ListenerSet")
                change = change.changed(*reference.path, "group", to=gateway_api.GROUP)
                change = change.changed(*reference.path, "name", to=listener_set.name)
                change = change.changed(*reference.path, "namespace", to=listener_set.namespace)
                return Fix("Attach to the ListenerSet that has it", (change,), needs_review=True)
    close = difflib.get_close_matches(section, by_name, n=1, cutoff=0.8) if section else []
    if close and reference.number("port") in (None, by_name[close[0]].port):
        change = route.changed(*reference.path, "sectionName", to=close[0])
        return Fix(f"Spell the listener {close[0]}", (change,), needs_review=True)
    return None
