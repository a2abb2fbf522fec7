"""`gwdoctor rbac`: the least role, and what of it the present user has."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from gwdoctor import deployment, kinds, rights
from gwdoctor.catalogue import catalogue
from gwdoctor.cli import inputs, outcome, program, stdout, values
from gwdoctor.cli.addresses import destinations
from gwdoctor.cli.chosen import chosen
from gwdoctor.cli.mistakes import Mistake
from gwdoctor.cli.options import Connection, Input, Rights, Time
from gwdoctor.cli.talk import Talk
from gwdoctor.kinds import READINGS
from gwdoctor.model import Kind
from gwdoctor.probe import Probe
from gwdoctor.render import machine
from gwdoctor.render.words import count, visible
from gwdoctor.resolve import follow
from gwdoctor.source.rights import MODES

Manifest = dict[str, Any]


def run(
    given: Rights,
    time: Time,
    connection: Connection,
    namespaces: Collection[str],
    output: str,
    *,
    check: bool,
) -> int:
    """The command; returns the exit code. Raises Mistake and NoCluster."""
    probes = chosen(catalogue(), given.checks, None, flag="--for")
    secrets = values.one_of(given.secrets, list(rights.PROFILES), "--secrets")
    running = modes(given)
    if check:
        probes = rights.of_the_api(probes) or probes
        form = values.one_of(output or "text", ["text", "json"], "-o")
        return _check(probes, time, connection, namespaces, form)
    form = values.one_of(output or "yaml", ["yaml", "json"], "-o")
    if len(namespaces) > 1:
        raise Mistake("-n: reports are written to one namespace")
    report_to = destinations(given.report_to)
    talk = Talk()
    settings = deployment.Settings(
        namespace=next(iter(namespaces), deployment.NAME),
        secrets=secrets,
        secret_names=frozenset(secret_names(given, probes, time, connection, talk)),
        running=running,
        report_to=report_to,
    )
    warn_of_secrets(probes, secrets, talk)
    write(deployment.reading_and_writing(settings, probes), form)
    return outcome.Exit.OK


def modes(given: Rights) -> tuple[str, ...]:
    """What of the running system is to be looked at. Raises Mistake."""
    words = [word for text in given.running or () for word in text.split(",")]
    asked = {values.one_of(word, list(MODES), "--with") for word in words}
    return tuple(mode for mode in MODES if mode in asked)


def write(manifests: Iterable[Manifest], form: str = "yaml") -> None:
    """YAML documents, or a List as JSON."""
    if form == "json":
        whole = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        stdout.write(machine.as_json(whole))
    else:
        stdout.write("---\n".join(map(machine.as_yaml, manifests)))


def warn_of_secrets(probes: Collection[type[Probe]], secrets: str, talk: Talk) -> None:
    """Say what a role without Secrets does not show."""
    blind = [probe for probe in probes if kinds.SECRET in probe.reads()]
    if blind and secrets == "none":
        talk.warn(
            f"without Secrets {count(len(blind), 'check')} of {len(probes)} will not see "
            "everything; --secrets named or all lets them"
        )


def secret_names(
    given: Rights,
    probes: Collection[type[Probe]],
    time: Time,
    connection: Connection,
    talk: Talk,
) -> set[tuple[str, str]]:
    """Namespace and name of the Secrets that objects point to; none unless they are asked for."""
    if given.secrets.strip().lower() != "named":
        if given.filename:
            raise Mistake("-f is for --secrets named: nothing else is looked up")
        return set()
    source = Input(filename=given.filename, all_namespaces=True)
    seen = inputs.read(source, probes, connection=connection, time=time, talk=talk)
    talk.notes(seen.notes)
    if seen.picture.incomplete:
        raise Mistake("--secrets named: the deadline (--timeout) came before all was read")
    unread = {gap.kind.name for gap in seen.picture.batch.gaps if gap.kind != kinds.SECRET}
    if unread:
        talk.warn(
            "--secrets named: not everything could be read, and Secrets that only these point to "
            f"are left out: {', '.join(sorted(unread))}"
        )
    return follow.named_secrets(seen.picture.cluster)


# --- what the present user may -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ability:
    """Whether a check sees everything, and what it lacks."""

    check: str
    can: str  #: yes, partly, no, or "not installed"
    lacking: tuple[str, ...] = ()


def _check(
    probes: Collection[type[Probe]],
    time: Time,
    connection: Connection,
    namespaces: Collection[str],
    form: str,
) -> int:
    from gwdoctor.source.batch import NoCluster
    from gwdoctor.source.connection import Trouble
    from gwdoctor.source.live import connect

    names = [n.strip() for text in namespaces for n in text.split(",")]
    if not all(names):
        raise Mistake("-n: the name of a namespace is empty")
    verbs_of = rights.needed(probes)
    live = connect(
        inputs.flags_of(connection),
        namespaces=names or None,
        timeout=values.seconds(time.timeout, "--timeout"),
        request_timeout=values.seconds(time.request_timeout, "--request-timeout"),
    )
    with closing(live):
        permissions = live.permissions
        try:
            lacking = permissions.lacking(verbs_of, names or None)
        except Trouble as trouble:
            raise NoCluster(f"cannot ask what may be read: {trouble}") from None
        installed = {kind for kind in verbs_of if permissions.is_installed(kind)}
        user = live.target.user
    found = [_ability(probe, lacking, installed) for probe in probes]
    _tell(found, lacking, user, form)
    whole = not any(one.lacking for one in found)
    return outcome.Exit.OK if whole else outcome.Exit.INCOMPLETE


def _ability(probe: type[Probe], lacking: dict[Kind, list[str]], installed: set[Kind]) -> Ability:
    def plain(kind: Kind) -> Kind:
        return Kind(kind.name, kind.group)

    subjects = [plain(kind) for kind in probe.subjects if plain(kind) in installed]
    if not subjects:
        return Ability(probe.id(), "not installed")
    lacks = sorted({plain(kind) for kind in probe.reads()} & lacking.keys())
    if not lacks:
        return Ability(probe.id(), "yes")
    blind = all(kind in lacking for kind in subjects)
    return Ability(
        probe.id(), "no" if blind else "partly", tuple(_resource(kind) for kind in lacks)
    )


def _resource(kind: Kind) -> str:
    """As kubectl names it: `secrets`, `gateways.networking.istio.io`."""
    plural = READINGS[kind].plural
    return f"{plural}.{kind.group}" if kind.group else plural


def _tell(found: Collection[Ability], lacking: dict[Kind, list[str]], user: str, form: str) -> None:
    if form == "json":
        whole = {
            "user": user,
            "checks": [
                {"check": one.check, "can": one.can, "lacking": list(one.lacking)} for one in found
            ],
            "lacking": {_resource(kind): verbs for kind, verbs in lacking.items()},
        }
        stdout.write(json.dumps(whole, indent=2) + "\n")
        return
    longest = max(len(one.check) for one in found)
    lines = [
        f"{one.can:13}  {one.check:{longest}}  {', '.join(one.lacking)}".rstrip() for one in found
    ]
    counted = {can: sum(one.can == can for one in found) for can in _ABILITIES}
    graded = ", ".join(f"{number} {can}" for can, number in counted.items() if number)
    lines += ["", f"{visible(user) or 'you'} could run: {graded}"]
    for kind, verbs in lacking.items():
        lines.append(f"lacking: {_resource(kind)} ({', '.join(map(visible, verbs))})")
    if lacking:
        lines.append(f"what grants it: {program.name()} rbac --secrets all")
    stdout.write("\n".join(lines) + "\n")


_ABILITIES = ("yes", "partly", "no", "not installed")
