"""Reports made by hand, for tests of what is written of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from gwdoctor import (
    Change,
    Confidence,
    Evidence,
    Finding,
    Fix,
    Kind,
    Ref,
    Resource,
    Severity,
    kinds,
)
from gwdoctor.model import Origin, Report, Skip, Target

INGRESS = Kind("Ingress", "networking.k8s.io")
SERVICE = Kind("Service")
GATEWAY = Kind("Gateway", "networking.istio.io")
NAMESPACE_LIST = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list"]}


def resource(kind: Kind, namespace: str, name: str, version: str = "v1", **body: Any) -> Resource:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    value = msgspec.convert({"metadata": metadata, **body}, kinds.READINGS[kind].view)
    return Resource(Ref(kind, namespace, name, version), (), value)


def finding(
    check: str = "kong/upstream-protocol-missing",
    severity: Severity = Severity.CRITICAL,
    **given: Any,
) -> Finding:
    service = resource(SERVICE, "minio", "minio", spec={"ports": [{"port": 9000}]})
    return Finding(
        **{
            "check": check,
            "title": "Kong speaks plain HTTP to a port that expects HTTPS",
            "severity": severity,
            "confidence": Confidence.LIKELY,
            "field": service.at("spec", "ports", 0),
            "message": "Kong speaks plain HTTP to port 9000 (https)",
            "root": service,
            **given,
        }
    )


def report(*findings: Finding, **given: Any) -> Report:
    return Report(
        **{
            "target": Target(
                context="prod-eu1", server="https://10.0.0.1:6443", user="alice", namespaces=("*",)
            ),
            "findings": findings,
            "skips": (),
            "checks": 46,
            "objects": 16400,
            "seconds": 1.42,
            **given,
        }
    )


def full() -> Report:
    """One of everything."""
    service = resource(SERVICE, "minio", "minio", spec={"ports": [{"port": 9000}]})
    old = resource(GATEWAY, "web", "old", "v1beta1", spec={})
    fix = Fix(
        "Tell Kong that this backend speaks HTTPS",
        (
            service.changed("metadata", "annotations", "konghq.com/protocol", to="https"),
            Change.created(
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": "y", "namespace": "minio"},
                    "data": {"on": "1e3"},
                }
            ),
            old.deleted(),
        ),
        needs_review=True,
        commands=("kubectl annotate service minio -n minio example.com/key-",),
    )
    route = resource(INGRESS, "minio", "minio", spec={})
    return report(
        finding(
            because=(route.at("spec", "rules", 0), service),
            fix=fix,
            origin=Origin("shop/minio.yaml", 7),
        ),
        finding(
            "istio/tls-server-overlap",
            Severity.HIGH,
            field=old,
            root=old,
            message="two servers share a certificate",
            advice="Merge the servers, or give each host a certificate of its own",
        ),
        finding(
            "tls/certificate-expires-soon",
            Severity.LOW,
            field=resource(Kind("GatewayClass", "gateway.networking.k8s.io"), "", "kong"),
            root=None,
            message="it is cluster-scoped",
            advice="Decide",
        ),
        skips=(
            Skip(
                check="kong/a-b", reason="Namespace: may not be listed (403)", rbac=NAMESPACE_LIST
            ),
            Skip(
                check="kong/c-d",
                reason="Namespace: may not be listed (403)",
                ref=service.ref,
                rbac=NAMESPACE_LIST,
            ),
            Skip(check="", reason="a.yaml:3: is not valid YAML", problem="broken"),
        ),
        ran=("kong/upstream-protocol-missing", "tls/certificate-expires-soon"),
        inapplicable=("aws/client-address-lost",),
        time="2026-11-21T12:00:00Z",
        not_applicable=7,
        ignored=2,
    )


HOSTILE = "[red]x[/red] :warning: [a-z]+ [/x]\x1b[2J\x1b]8;;http://x\x07 \u202egpj.exe \x00\x9b é中"


#: What may fool a reader of one format or another.
HOSTILES = (
    HOSTILE,
    "x" * 300,
    "</testsuites><script>alert(1)</script> &amp; <!-- ]]> <?x?>",
    "=cmd|'/c calc'!A0",
    "\t+1",
    "-@SUM(1)",
    "\uff1d1+1",
    "one\r\n::error file=x::two\r::stop-commands::x %0A::error::three%25 ##[error]four",
    """ '"\\"',;\t{} """,
    "# a | b | `c` ```\n```sh\n- [x](http://x) ![y](//y) <http://z> @team https://e.example www.x.y",
    "1. a *b* _c_ ~~d~~ \\` `` $e$ \\n",
    "[go](javascript:1) {0} ](x)",
    "\ufffe \uffff \U0001f600 \U000e0041",
    "# EOF\ngwdoctor_findings 9\n",
    "\xad\u061c\u180e\u2060\u2064\ufeff\ufff9\u2028\u2029 \x85\x0b\x0c\x1c",
    "@SUM(1)",
    "\r=1",
    "../..//etc/./passwd?a#b:c%zz",
    "```",
    "007",
    "",
    " ",
)


def hostile(text: str = HOSTILE) -> Report:
    """What a cluster may hold to fool a terminal, in every text of a report."""
    service = resource(SERVICE, text, text, spec={})
    change = service.changed("metadata", "annotations", text, to=text)
    return report(
        finding(
            field=service.at("metadata", "annotations", text),
            root=service,
            message=text,
            title=text,
            because=(service.at(text),),
            evidence=(
                Evidence(source="log", ref=service.ref, text=text, container=text, last=text),
            ),
            fix=Fix(text, (change, service.deleted()), commands=(text,)),
        ),
        finding(
            field=service.at("spec"),
            root=service,
            message=text,
            advice=text,
            origin=Origin(text or "-", 3),
        ),
        skips=(
            Skip(check="a/b", reason=text, ref=service.ref, rbac={"resources": [text]}),
            Skip(check="c/d", reason=text, problem="bug"),
        ),
        target=Target(context=text, server=text, user=text, namespaces=(text,)),
    )


def patched() -> Report:
    """A fix that takes a field away, and an object: by a patch and a deletion."""
    old, gone = (resource(GATEWAY, "web", name, spec={"a": {"b": 1}}) for name in ("old", "gone"))
    fix = Fix("Take it away", (old.changed("spec", "a", "b", to=None), gone.deleted()))
    return report(finding(field=old, root=old, fix=fix), incomplete=True)


#: Reports of every kind, by name.
KINDS: dict[str, Callable[[], Report]] = {
    "full": full,
    "empty": report,
    "patched": patched,
    **{f"hostile {n}": partial(hostile, text) for n, text in enumerate(HOSTILES)},
}
