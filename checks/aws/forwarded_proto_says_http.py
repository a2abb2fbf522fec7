"""Envoy behind a TLS-terminating NLB tells applications http."""

from collections.abc import Iterator

from gwdoctor import Cluster, Field, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import aws, envoy_gateway, gateway_api, http_matches
from gwdoctor.resolve.gateway_api import Listener

_HEADER = "x-forwarded-proto"


class ForwardedProtoSaysHttp(Probe):
    """Applications believe that https clients came by http.

    Envoy derives `X-Forwarded-Proto` from its own connection, and overwrites what is there. Behind
    a load balancer that ends TLS this connection is clear text, an NLB adds no headers and the
    PROXY protocol does not carry the scheme: applications build http:// links, drop Secure
    cookies or redirect for ever. The route of the TLS listener is the place to set the header.

    Not a problem where the routes set it, or where applications look at no such header.

    ```sh
    kubectl get httproute web -n app -o yaml | grep -i -A1 x-forwarded-proto
    ```

    Source: Envoy Gateway 1.9, internal/xds/translator/listener.go; issues 9219 and 7647.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: GatewayClass
    metadata: {name: eg}
    spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: infra}
    spec:
      gatewayClassName: eg
      infrastructure:
        annotations:
          service.beta.kubernetes.io/aws-load-balancer-type: external
          service.beta.kubernetes.io/aws-load-balancer-ssl-cert: arn:aws:acm:eu-west-1:1:certificate/c
      listeners:
      - {name: https, port: 443, protocol: HTTP}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: infra}
    spec: {ports: [{port: 8080}]}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: web, namespace: infra}
    spec:
      parentRefs: [{name: edge, sectionName: https}]
      rules:
      - backendRefs: [{name: web, port: 8080}]
    ```

    ```yaml fixed
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: web, namespace: infra}
    spec:
      rules:
      - backendRefs: [{name: web, port: 8080}]
        filters:
        - type: RequestHeaderModifier
          requestHeaderModifier: {set: [{name: X-Forwarded-Proto, value: https}]}
    ```
    """

    severity = Severity.MEDIUM
    subjects = (kinds.HTTP_ROUTE,)
    needs = (
        kinds.GATEWAY_CLASS,
        kinds.ENVOY_PROXY,
        kinds.SERVICE,
        kinds.CLIENT_TRAFFIC_POLICY,
        *http_matches.NEEDS,
    )
    symptoms = ("ERR_TOO_MANY_REDIRECTS", "Mixed Content")

    def check(self, route: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Rules with backends behind a TLS port of the load balancer that set no such header."""
        fed: list[Listener] = []
        others: list[Listener] = []
        for parent in gateway_api.parents(route, cluster):
            for one in parent.attached:
                gateway = gateway_api.gateway_of(one.owner, cluster)
                if (
                    gateway is None
                    or one.protocol != "HTTP"
                    or not aws.fed_by_tls_port(one, gateway, cluster)
                ):
                    others.append(one)
                elif not _policy_sets(one, gateway, cluster):
                    fed.append(one)
        if not fed:
            return
        lacking = [
            rule
            for rule in route.each("spec", "rules")
            if any(rule.each("backendRefs")) and not _sets(rule)
        ]
        if not lacking:
            return
        yield self.finding(
            lacking[0],
            f"the NLB ends TLS in front of listener {fed[0].name}, and this route tells the "
            "application X-Forwarded-Proto: http",
            because=tuple(one.field for one in fed),
            fix=None if others else _with_header(route, lacking),
            advice="The route is also attached to listeners for http: make one route for each, "
            "by sectionName, and set X-Forwarded-Proto: https on that of the TLS port"
            if others
            else "",
        )


def _policy_sets(listener: Listener, gateway: Resource, cluster: Cluster) -> bool:
    """Whether a ClientTrafficPolicy sets the header; early headers survive only with trusted hops."""
    policy = envoy_gateway.client_policy(listener, gateway, cluster)
    if policy is None or not policy.has("spec", "clientIPDetection"):
        return False
    early = policy.at("spec", "headers", "earlyRequestHeaders")
    return _names(early)


def _sets(rule: Field) -> bool:
    return any(_names(step.at("requestHeaderModifier")) for step in rule.each("filters"))


def _names(modifier: Field) -> bool:
    return any(
        header.text("name").lower() == _HEADER
        for verb in ("set", "add")
        for header in modifier.each(verb)
    )


def _with_header(route: Resource, lacking: list[Field]) -> Fix:
    change = route.changed("spec", "rules", to=route.manifest()["spec"]["rules"])
    header = {"name": "X-Forwarded-Proto", "value": "https"}
    for rule in lacking:
        steps = list(rule.each("filters"))
        own = next((s for s in steps if s.text("type") == "RequestHeaderModifier"), None)
        if own is not None:
            present = [item.value for item in own.each("requestHeaderModifier", "set")]
            path = (*own.path, "requestHeaderModifier", "set")
            change = change.changed(*path, to=[*present, header])
        else:
            added = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [header]}}
            kept = [step.value for step in steps]
            change = change.changed(*rule.path, "filters", to=[*kept, added])
    return Fix("Tell applications https", (change,), needs_review=True)
