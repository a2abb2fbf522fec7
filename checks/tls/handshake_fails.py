"""A listener that is to end TLS, and does not."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Ref, Resource, Severity, kinds
from gwdoctor.evidence import shown

_WORDS = {
    "clear text": "answers in clear text",
    "closed": "closes the connection",
    "silent": "accepts the connection and says nothing",
    "refused": "ends the handshake",
}


class HandshakeFails(Probe):
    """No TLS connection comes about where a certificate is to be served.

    `gwdoctor scan --probe tls` shakes hands for each host of a terminating listener, with its
    SNI. A proxy that has no certificate for the name closes the connection or sends an alert; a
    load balancer that ends TLS itself leads clear text to it; a listener that was not programmed
    says nothing at all.

    Not a problem where a client certificate is demanded: that is passed over, as far as the alert
    says so. An address that cannot be reached from where gwdoctor runs is told under "not
    checked", and is no finding.

    Check it yourself:

    ```sh
    openssl s_client -connect ADDRESS:443 -servername HOST </dev/null
    ```

    Source: RFC 8446 section 6 (alerts); observed, not inferred.

    ```yaml bad
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: edge, namespace: edge}
    spec:
      gatewayClassName: eg
      listeners:
      - name: https
        port: 443
        protocol: HTTPS
        hostname: api.example.com
        tls: {certificateRefs: [{name: api-tls}]}
    ---
    apiVersion: gwdoctor/v1
    kind: Handshake
    metadata: {name: seen-1, namespace: edge}
    purpose: entry
    host: api.example.com
    address: 203.0.113.7 port 443
    owner:
      apiVersion: gateway.networking.k8s.io/v1
      kind: Gateway
      namespace: edge
      name: edge
      path: [spec, listeners, 0, tls, certificateRefs, 0, name]
    secret: {kind: Secret, namespace: edge, name: api-tls}
    problem: closed
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.HANDSHAKE,)
    symptoms = (
        "SSL_ERROR_SYSCALL",
        "unexpected eof while reading",
        "wrong version number",
        "tlsv1 unrecognized name",
        "ERR_SSL_PROTOCOL_ERROR",
        "ERR_CONNECTION_CLOSED",
    )

    def check(self, handshake: Resource, cluster: Cluster) -> Iterator[Finding]:
        """One handshake."""
        problem, told = handshake.text("problem"), handshake.text("told")
        spot = shown.owner(handshake, cluster)
        if problem not in _WORDS or spot is None or handshake.text("purpose") != "entry":
            return
        if "certificate required" in told:
            return
        quoted = shown.quoted(handshake, spot.ref)
        secret = handshake.at("secret")
        yield self.finding(
            spot,
            f"{shown.place(handshake)} {_WORDS[problem]}{f': {told}' if told else ''}",
            root=cluster.find(spot.ref),
            evidence=(quoted,),
            proves=_CAUSES,
            concerns=(Ref(kinds.SECRET, secret.text("namespace"), secret.text("name"), "v1"),),
            marker=handshake.text("host"),
            advice="Look whether the listener is programmed and its certificate can be used (status "
            "of the Gateway, log of the proxy), and whether something before it ends TLS",
        )


_CAUSES = (
    *("gateway-api/certificate-ref-missing", "gateway-api/listener-without-certificate"),
    *("gateway-api/reference-not-granted", "gateway-api/listener-conflict"),
    *("gateway-api/refused-by-controller", "istio/credential-secret-missing"),
    *("istio/gateway-listener-rejected", "istio/gateway-server-left-out"),
    *("istio/gateway-selects-no-router", "aws/plain-text-into-tls-listener"),
    *("aws/https-port-in-clear-text", "aws/tls-into-plain-text-listener"),
    *("tls/key-of-another-certificate", "tls/secret-without-key-pair"),
    *("ingress/tls-secret-missing", "kong/listener-port-not-published"),
)
