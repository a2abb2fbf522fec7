"""What the running system says: cleaned, understood, and set under the finding that it proves."""

from __future__ import annotations

import casefile
import pytest
import reports

from gwdoctor import Confidence, Evidence, Finding, Kind, Ref, Severity
from gwdoctor.catalogue import catalogue
from gwdoctor.engine import scan
from gwdoctor.evidence import event_meanings
from gwdoctor.evidence.cleaning import LONGEST, clean
from gwdoctor.evidence.weighing import MOST, weighed
from gwdoctor.remedy import Prover
from gwdoctor.render import document, plain, terminal
from gwdoctor.render.words import Ending

MINIO = Ref(Kind("Service"), "minio", "minio", "v1")


def quote(text: str = "readv() failed", **given: object) -> Evidence:
    return Evidence(**{"source": "log", "ref": MINIO, "text": text, **given})  # type: ignore[arg-type]


def observed(**given: object) -> Finding:
    wanted = {
        "check": "service/failure-logged",
        "severity": Severity.HIGH,
        "evidence": (quote(),),
        "proves": ("kong/upstream-protocol-missing",),
        **given,
    }
    return reports.finding(**wanted)  # type: ignore[arg-type]


def test_what_is_observed_makes_certain_what_it_proves() -> None:
    claim = reports.finding()

    (merged,) = weighed([observed(), claim])

    assert (claim.confidence, merged.confidence) == (Confidence.LIKELY, Confidence.CERTAIN)
    assert merged.evidence == (quote(),)
    assert merged.id == claim.id


@pytest.mark.parametrize(
    "other",
    [
        {"check": "kong/upstream-protocol-invalid"},
        {"field": reports.resource(Kind("Service"), "minio", "other"), "root": None},
        {"field": reports.resource(Kind("Secret"), "minio", "minio"), "root": None},
    ],
    ids=["another check", "another object", "another kind"],
)
def test_what_proves_nothing_else_stands_alone(other: dict[str, object]) -> None:
    claim = reports.finding(**other)  # type: ignore[arg-type]

    told = weighed([observed(), claim])

    assert {f.check for f in told} == {claim.check, "service/failure-logged"}
    assert next(f for f in told if f.check == claim.check).confidence is Confidence.LIKELY


def test_a_cause_counts_as_an_object_of_the_finding() -> None:
    route = reports.resource(Kind("HTTPRoute", "gateway.networking.k8s.io"), "shop", "web", spec={})
    claim = reports.finding(because=(route.at("spec"),))
    elsewhere = reports.resource(Kind("Pod"), "kong", "kong-1")

    (merged,) = weighed([claim, observed(field=elsewhere, root=None, concerns=(route.ref,))])

    assert merged.confidence is Confidence.CERTAIN


def test_nothing_worse_is_hidden_under_a_lesser_finding() -> None:
    claim = reports.finding(severity=Severity.LOW)

    told = weighed([claim, observed()])

    assert {f.check for f in told} == {claim.check, "service/failure-logged"}
    assert next(f for f in told if f.check == claim.check).evidence


def test_only_so_much_is_quoted() -> None:
    many = [observed(evidence=(quote(f"line {number}", count=number),)) for number in range(1, 9)]

    (merged,) = weighed([reports.finding(), *many])

    assert [seen.count for seen in merged.evidence] == [8, 7, 6, 5]
    assert len(merged.evidence) == MOST


def test_every_check_that_something_proves_exists() -> None:
    for known in (*event_meanings.MEANINGS, *event_meanings.REFUSALS):
        assert set(known.proves) <= set(catalogue()), known


SECRETS = [
    "Authorization: Bearer abc.def.ghi-SECRET",
    'authorization="Basic U0VDUkVU"',
    '{"cookie":"session=SECRET; id=SECRET","path":"/x"}',
    "Cookie: session=SECRET; theme=SECRET",
    "Set-Cookie: a=SECRET; Path=/",
    "GET /login?user=SECRET&x=SECRET HTTP/1.1",
    "https://user:SECRET@example.com/x",
    "token=SECRET, next",
    '"x-api-key": "SECRET"',
    "apikey: SECRET",
    "password: 'SECRET SECRET'",
    "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJTRUNSRVQifQ.SECRET end",
    "-----BEGIN RSA PRIVATE KEY-----\nSECRET\nSECRET",
    "key AKIASECRETSECRETSECR",
    "github ghp_SECRETSECRETSECRET1",
    'x-forwarded-client-cert: "Hash=SECRET;Cert=SECRET"',
    "client_secret=SECRET",
    'request: "GET /a?token=SECRET HTTP/1.1", host: "h"',
]


@pytest.mark.parametrize("text", SECRETS)
def test_no_secret_is_quoted(text: str) -> None:
    assert "SECRET" not in clean(f"before {text}").replace("U0VDUkVU", "SECRET")
    assert clean(f"before {text}").startswith("before ")


@pytest.mark.parametrize(
    "text",
    [
        "readv() failed (104: Connection reset by peer) while reading upstream, client: 10.0.0.1, "
        'upstream: "http://10.0.0.20:9000/minio", host: "s3.example.com"',
        'Failed to fetch secret {"namespace": "pay", "name": "pay-tls"}',
        "failed to construct certificate from secret: tls: private key does not match public key",
        "upstream SSL certificate does not match minio.minio.svc",
    ],
)
def test_what_matters_is_left(text: str) -> None:
    kept = clean(text)
    for word in ("http://10.0.0.20:9000/minio", "s3.example.com", "pay-tls", "minio.minio.svc"):
        assert (word in kept) == (word in text)


def test_nothing_unseen_and_nothing_endless_is_quoted() -> None:
    text = clean("a\x1b[2J\x00\u202eb\r\nc" + "x" * 10_000)

    assert text.startswith("a [2J b c")
    assert len(text) == LONGEST


def test_evidence_is_told_by_every_rendering() -> None:
    report = reports.report(
        reports.finding(
            evidence=(quote("a\x1b[2J", count=3, last="2026-11-21T12:00:00Z", container="proxy"),)
        )
    )
    end = Ending(1, "1 finding")

    line = (
        "evidence: log of Service minio/minio (proxy), 3 times, last 2026-11-21 12:00 UTC: a\\x1b"
    )
    assert line in plain.render(report, end)
    assert line in terminal.render(report, end, width=200)
    assert document.document(report)["findings"][0]["evidence"] == [
        {
            "source": "log",
            "object": {
                "apiVersion": "v1",
                "kind": "Service",
                "namespace": "minio",
                "name": "minio",
            },
            "container": "proxy",
            "text": "a\x1b[2J",
            "count": 3,
            "last": "2026-11-21T12:00:00Z",
        }
    ]


REJECTED = """
apiVersion: configuration.konghq.com/v1
kind: KongClusterPlugin
metadata: {name: reload, annotations: {kubernetes.io/ingress.class: kong}}
plugin: ssl-cert-reloader
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: pay, namespace: pay, annotations: {konghq.com/plugins: reload}}
spec:
  ingressClassName: kong
  rules:
  - host: pay.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: pay, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Event
metadata: {name: reload.1, namespace: default}
type: Warning
reason: KongConfigurationApplyFailed
message: "invalid name: plugin 'ssl-cert-reloader' not enabled; add it to the 'plugins' configuration property"
lastTimestamp: "2026-11-21T11:59:00Z"
involvedObject: {apiVersion: configuration.konghq.com/v1, kind: KongClusterPlugin, name: reload}
"""


def test_the_event_of_a_controller_confirms_the_finding_on_its_object() -> None:
    cluster = casefile.cluster_of(casefile.documents(REJECTED))
    probes = [
        catalogue()["kong/plugin-not-in-kong"],
        catalogue()["kong/configuration-rejected"],
    ]

    (finding,) = scan(cluster, probes).findings

    assert finding.check == "kong/plugin-not-in-kong"
    assert finding.confidence is Confidence.CERTAIN
    assert [seen.source for seen in finding.evidence] == ["event"]
    assert scan(cluster, probes[:1]).findings[0].evidence == ()


EVENT_OF_INVALID = """
apiVersion: v1
kind: Event
metadata: {name: invalid.1, namespace: NAMESPACE}
type: Warning
reason: KongConfigurationTranslationFailed
message: "konghq.com/protocol annotation has invalid value: x"
lastTimestamp: "2026-11-21T11:59:00Z"
involvedObject: {apiVersion: v1, kind: Service, name: NAME, namespace: NAMESPACE}
"""


def test_a_fix_is_not_blamed_for_what_was_said_before_it() -> None:
    check = catalogue()["kong/upstream-protocol-invalid"]
    manifests = casefile.documents(check.example("bad"))
    service = next(m for m in manifests if m["kind"] == "Service")["metadata"]
    event = EVENT_OF_INVALID.replace("NAMESPACE", service["namespace"])
    manifests += casefile.documents(event.replace("NAME", service["name"]))
    cluster = casefile.cluster_of(manifests)
    probes = [check, catalogue()["service/controller-warns"]]

    report = scan(cluster, probes)

    (finding,) = report.findings
    assert finding.evidence
    proof = Prover(cluster, probes, report).prove(finding)
    assert (proof.clears, proof.opens) == (True, ())
