"""A walk as plain data, version 1: what `gwdoctor why -o json` writes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gwdoctor.model import Finding, Skip, Target
from gwdoctor.render import document
from gwdoctor.version import __version__
from gwdoctor.walk.hops import Branch, Hop, Near, Step, Walk, Way
from gwdoctor.walk.request import Request

VERSION = 1


def walk(found: Walk, target: Target, skips: Iterable[Skip]) -> dict[str, Any]:
    """The whole walk, with the findings that stand on it and what was not checked of them."""
    findings = {f.id: f for hop in found.all_hops() for f in hop.findings}
    findings |= {f.id: f for step in found.steps for near in step.near for f in near.findings}
    return {
        **head(target),
        "request": request(found.steps[0].request),
        "state": str(found.state),
        "answered": found.is_answered,
        "steps": [_step(step) for step in found.steps],
        "findings": [document.finding(f) for f in in_order(findings.values())],
        "not_checked": [document.skip(skip) for skip in skips],
    }


def head(target: Target) -> dict[str, Any]:
    """What every document of ours begins with."""
    return {
        "version": VERSION,
        "tool": {"name": "gwdoctor", "version": __version__},
        "target": {
            "context": target.context,
            "server": target.server,
            "user": target.user,
            "namespaces": list(target.namespaces),
        },
    }


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Worst first, then by id."""
    return sorted(findings, key=lambda f: (-f.severity, -f.confidence, f.id))


def request(asked: Request) -> dict[str, Any]:
    """What is asked for."""
    return {
        "method": asked.method,
        "url": asked.url,
        "scheme": asked.scheme,
        "host": asked.host,
        "port": asked.port,
        "path": asked.path,
        "query": asked.query,
        "headers": {name: list(values) for name, values in asked.told_headers.items()},
        "sni": asked.sni or None,
        "address": asked.address or None,
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "request": request(step.request),
        "ways": [_way(way) for way in step.ways],
        "near": [_near(near) for near in step.near],
        "unseen": [_hop(hop) for hop in step.unseen],
    }


def _way(way: Way) -> dict[str, Any]:
    redirect = way.redirect
    return {
        "system": way.system,
        "name": way.name,
        "addresses": list(way.addresses),
        "elsewhere": way.is_elsewhere,
        "state": str(way.state),
        "answers": way.answers,
        "hops": [_hop(hop) for hop in way.hops],
        "backends": [_branch(branch) for branch in way.branches],
        "redirect": None
        if redirect is None
        else {
            "status": redirect.status,
            "location": redirect.location,
            "step": redirect.step,
            "loops": redirect.loops,
        },
    }


def _branch(branch: Branch) -> dict[str, Any]:
    return {
        "weight": branch.weight,
        "percent": round(branch.share, 2),
        "hops": [_hop(hop) for hop in branch.hops],
    }


def _hop(hop: Hop) -> dict[str, Any]:
    return {
        "hop": hop.what,
        "state": str(hop.state),
        "says": hop.says,
        "object": document.reference(hop.object) if hop.object is not None else None,
        "path": hop.field.pointer if hop.field is not None else None,
        "after_break": hop.after_break,
        "unverified": hop.unverified or None,
        "rbac": dict(hop.rbac) if hop.rbac else None,
        "findings": [finding.id for finding in in_order(hop.findings)],
    }


def _near(near: Near) -> dict[str, Any]:
    findings = [finding.id for finding in in_order(near.findings)]
    return {**document.place(near.field), "says": near.says, "findings": findings}
