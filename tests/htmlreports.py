"""Reports for tests of the HTML page."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import casefile
import certs
import manyhosts
import reports
import scenes

from gwdoctor.catalogue import catalogue
from gwdoctor.drawing import drawn
from gwdoctor.engine import scan
from gwdoctor.entry import (
    Backend,
    CertificateEnd,
    Entry,
    Hop,
    Host,
    Named,
    RequestMap,
    Route,
    State,
    Way,
)
from gwdoctor.model import Change, Finding, Fix, Proof, Report, Target
from gwdoctor.render.formats import Style
from gwdoctor.render.html import render
from gwdoctor.render.words import Ending

NASTY = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "</style><style>*{display:none}</style>",
    "</title></pre></summary></details></svg>",
    "<!-- <![CDATA[ &lt;b&gt; &amp; {{ 7 * 7 }} {% raw %}",
    "a\x00b\x1b[2J\x07\x9b\r\n\t\u202egpj.exe\u2066 \ufeff\u200f",
    "l" * 300,
    "\U0001f600é中" * 40,
)


def page(report: Report) -> str:
    return render(report, Style(end=Ending(1, "findings")))


@cache
def five_failures() -> Report:
    """All that the five documents have wrong, drawn."""
    manifests = [m for d in scenes.DOCUMENTS for m in scenes.manifests(d, "broken", certs.NOW)]
    picture = casefile.cluster_of(manifests)
    found = scan(picture, list(catalogue().values()), target=reports.full().target)
    return replace(drawn(found, picture), skips=reports.full().skips, time="2026-11-21T12:00:00Z")


@cache
def large() -> Report:
    """1,000 hostnames and 500 findings, each with a fix of some size."""
    report = manyhosts.report(1000)
    return replace(report, findings=tuple(map(_with_fix, report.findings)))


def _with_fix(finding: Finding) -> Finding:
    body = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": finding.field.ref.name, "namespace": finding.field.ref.namespace},
        "spec": {
            "hostnames": [finding.id],
            "rules": [
                {"matches": [{"path": {"type": "PathPrefix", "value": f"/{n}"}}]} for n in range(10)
            ],
        },
    }
    fix = Fix("Name a Service that exists", (Change.created(body),), True, proof=Proof(clears=True))
    return replace(finding, fix=fix)


def hostile(text: str) -> Report:
    """A report that says one text wherever a cluster, or a file, can put one."""
    named = Named(text, text, text, text)
    whole = RequestMap(
        [
            Host(f"{text}{state}", state, [Way(0, 0), Way(0), *(Way(0, n) for n in range(9))])
            for state in State
        ]
        + [Host(text, State.BROKEN, [Way(0)] * 20), Host(text, State.BROKEN)],
        [Hop(State.BROKEN, text, text, named, text, [text])],
        [Route(Hop(State.DEGRADED, "", text, named, "", [text]), [0] * 9)]
        + [Route(Hop(State.OK, text), [0]) for _ in range(8)],
        [Backend(Hop(State.UNSEEN, "", text, named), Hop(State.OK, text, says=text))],
    )
    entry = Entry(
        whole,
        [
            CertificateEnd(named, text, text, None, [text] * 9, [named], named),
            CertificateEnd(named, "", "2026-11-21T00:00:00Z", -1, [text]),
        ],
    )
    service = reports.resource(reports.SERVICE, text, text, spec={})
    change = service.changed("metadata", "annotations", text, to=text)
    proof = Proof(clears=False, opens=(text,), unknown=(text,))
    return reports.report(
        reports.finding(
            field=service.at("metadata", "annotations", text),
            root=service,
            message=text,
            title=text,
            because=(service.at(text),),
            advice=text,
            fix=Fix(text, (change, service.deleted()), commands=(text,), proof=proof),
        ),
        reports.finding(field=service.at("spec"), root=service, message=text, advice=text),
        skips=tuple(
            replace(skip, reason=text, ref=service.ref, rbac={"resources": [text]})
            for skip in reports.full().skips[:1]
        ),
        target=Target(context=text, server=text, user=text, namespaces=(text,)),
        time=text,
        version=text,
        entry=entry,
    )
