"""Document 002, seen: one connection, two hosts."""

from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Evidence, Finding, Probe, Resource, Severity, kinds
from gwdoctor.evidence import shown


class ReusedConnectionMisrouted(Probe):
    """A host answers 404 on the connection that a browser reuses for it.

    Browsers send requests for a second host over the connection of a first one, where its
    certificate covers both. A gateway that chose routes by the first host's SNI knows none for
    the second and answers 404, at some times and not at others. `gwdoctor scan --probe tls` does
    the same where certificates of two servers overlap: it opens a connection for one host, sends
    `HEAD /` for the other, and compares the answer with the one on a connection of its own.

    Not a problem where the answer is 421: browsers open another connection then. Where the host
    answers 404 on its own connection, too, nothing can be told.

    Check it yourself:

    ```sh
    curl -sk --http2 --resolve A:443:ADDRESS -o /dev/null -w '%{http_code}\\n' -H 'Host: B' https://A/
    ```

    Source: RFC 9113 section 9.1.1, RFC 9110 section 15.5.20; observed, not inferred.

    ```yaml bad
    apiVersion: networking.istio.io/v1
    kind: Gateway
    metadata: {name: web, namespace: shop}
    spec:
      selector: {istio: ingressgateway}
      servers:
      - port: {number: 443, name: https, protocol: HTTPS}
        hosts: [a.example.com]
        tls: {mode: SIMPLE, credentialName: wildcard}
    ---
    apiVersion: gwdoctor/v1
    kind: Handshake
    metadata: {name: seen-1, namespace: shop}
    purpose: reuse
    host: a.example.com
    reusedFor: b.example.com
    address: Pod istio-ingress/gateway-1 port 8443
    owner:
      apiVersion: networking.istio.io/v1
      kind: Gateway
      namespace: shop
      name: web
      path: [spec, servers, 0, tls, credentialName]
    protocol: h2
    status: 404
    ownStatus: 200
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.HANDSHAKE,)
    symptoms = ("404 Not Found", "421 Misdirected Request")

    def check(self, handshake: Resource, cluster: Cluster) -> Iterator[Finding]:
        """One pair of hosts."""
        spot = shown.owner(handshake, cluster)
        if spot is None or handshake.text("purpose") != "reuse":
            return
        status, own = handshake.number("status"), handshake.number("ownStatus")
        if status != 404 or own in (None, 0, 404):
            return
        said = (
            f"{shown.place(handshake)}: HEAD / of {handshake.text('reusedFor')} on this connection "
            f"is answered {status}, on one of its own {own}"
        )
        yield self.finding(
            spot,
            said,
            root=cluster.find(spot.ref),
            evidence=(Evidence(source="handshake", ref=spot.ref, text=said),),
            proves=("istio/tls-server-overlap",),
            marker=handshake.text("reusedFor"),
            advice="Give each server a certificate for its own hosts only, put the hosts of one "
            "certificate into one server, or answer 421 where SNI and host differ",
        )
