"""What the page says, put into the words and the order in which it says it.

Every text is ready here: control characters are made visible. The template only escapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gwdoctor import changes
from gwdoctor.entry import Backend, CertificateEnd, Host, Named, RequestMap, State
from gwdoctor.model import Finding, Report, Severity
from gwdoctor.render import words
from gwdoctor.render.html import layout
from gwdoctor.render.html.few import Pool, few
from gwdoctor.render.html.layout import Drawing
from gwdoctor.render.words import count, visible
from gwdoctor.version import __version__
from gwdoctor.yamltext.writing import dump

#: So many hostnames are drawn, the worst first; a table holds all of them.
MOST_DRAWN = 40
#: So many findings stand open.
MOST_OPEN = 4
#: So many certificates are shown at once.
MOST_CERTIFICATES = 20
#: So many names, users or hostnames are told of one thing.
MOST_NAMES = 5
_ATTENTION = (State.BROKEN, State.DEGRADED, State.UNSEEN)


@dataclass(frozen=True)
class Tile:
    """A number that says how it is."""

    number: str
    text: str
    state: str = ""
    link: str = ""


@dataclass(frozen=True)
class Row:
    """One way of a hostname, as a row of a table. `rows` is how many the hostname has; 0: not its first."""

    name: str
    rows: int
    state: State
    word: str
    sign: str
    cells: tuple[str, ...]
    problems: tuple[str, ...]
    more: int  #: problems beside these


@dataclass(frozen=True)
class Group:
    """Hostnames that come through one Gateway, or class of Ingresses, folded."""

    name: str
    count: int
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Map:
    """The drawing, and every hostname in tables."""

    drawing: Drawing | None
    drawn: int
    left: int  #: hostnames in need of attention that are not drawn
    attention: tuple[Row, ...]
    quiet: tuple[Group, ...]
    quiet_count: int
    elsewhere: tuple[tuple[str, str], ...]  #: urgent findings on no way of a hostname, and texts
    summary: str


@dataclass(frozen=True)
class Problem:
    """A finding."""

    id: str
    number: int
    severity: str
    confidence: str
    title: str
    place: str
    message: str
    path: str
    because: tuple[str, ...]
    evidence: tuple[str, ...]
    hosts: str
    check: str
    is_open: bool
    fix: str
    proof: str
    note: str
    manifests: str
    commands: str
    decide: str


@dataclass(frozen=True)
class Certificate:
    """A row of the certificates."""

    day: str
    left: str
    state: str
    names: str
    secret: str
    users: str
    renewal: str


@dataclass(frozen=True)
class Unseen:
    """One reason why something was not looked at."""

    reason: str
    objects: str
    checks: tuple[str, ...]
    rule: str


@dataclass(frozen=True)
class Page:
    """Everything."""

    headline: str
    where: str
    looked: str
    told: str
    version: str
    tiles: tuple[Tile, ...]
    map: Map | None
    problems: tuple[Problem, ...]
    certificates: tuple[Certificate, ...]
    later: tuple[Certificate, ...]
    has_entry: bool
    unseen: tuple[Unseen, ...]
    incomplete: bool
    known: frozenset[str]  #: the ids that a link can lead to
    columns: tuple[str, ...] = layout.COLUMNS
    lefts: tuple[int, ...] = layout.LEFT
    widths: tuple[int, ...] = layout.WIDTH
    signs: Mapping[State, str] = field(default_factory=lambda: layout.SIGNS)


def page(report: Report, *, fixes: bool) -> Page:
    """The page of a report."""
    entry = report.entry
    known = {finding.id for finding in report.findings}
    routes = _routes(entry.map, known) if entry is not None else []
    hosts = _hosts_of_findings(entry.map) if entry is not None else {}
    ends = [_certificate(end) for end in entry.certificates] if entry is not None else []
    told = [finding.severity for finding in report.findings]
    return Page(
        headline=_headline(report),
        where=words.where(report.target),
        looked=words.verdict(report),
        told=visible(report.time),
        version=visible(report.version or __version__),
        tiles=tuple(_tiles(report)),
        map=_map(entry.map, routes, report.findings, set(hosts)) if entry is not None else None,
        problems=tuple(
            _problem(finding, number, hosts.get(finding.id, ""), fixes=fixes, open_first=told)
            for number, finding in enumerate(report.findings, start=1)
        ),
        certificates=tuple(ends[:MOST_CERTIFICATES]),
        later=tuple(ends[MOST_CERTIFICATES:]),
        has_entry=entry is not None,
        unseen=tuple(
            Unseen(
                group.reason,
                ", ".join(group.objects),
                group.checks,
                f"- {{{group.rule}}}" if group.rule else "",
            )
            for group in words.unseen(report.skips)
        ),
        incomplete=report.incomplete,
        known=frozenset(known),
    )


# --- the verdict -------------------------------------------------------------------------


def _headline(report: Report) -> str:
    name = visible(report.target.context or report.target.server or "files")
    return f"{name}: {_verdict(report)}"


def _verdict(report: Report) -> str:
    hosts = report.entry.map.hosts if report.entry is not None else []
    broken = sum(host.state == State.BROKEN for host in hosts)
    if broken:
        of = f" of {len(hosts)}" if len(hosts) > broken else ""
        return f"requests to {broken}{of} {'hostname' if len(hosts) == 1 else 'hostnames'} fail"
    worst = max((finding.severity for finding in report.findings), default=None)
    if worst is not None:
        number = sum(finding.severity == worst for finding in report.findings)
        return f"{count(number, f'{worst} problem')}"
    if report.skips or report.incomplete:
        return "no problem found in what could be checked"
    return "no problem found"


def _tiles(report: Report) -> Iterable[Tile]:
    if report.entry is not None:
        states = [host.state for host in report.entry.map.hosts]
        for state, one, several in (
            (State.BROKEN, "hostname fails", "hostnames fail"),
            (State.DEGRADED, "hostname at risk", "hostnames at risk"),
            (State.UNSEEN, "hostname not seen to its end", "hostnames not seen to their end"),
            (State.UNROUTED, "hostname without a route", "hostnames without a route"),
            (State.OK, "hostname without a problem found", "hostnames without a problem found"),
        ):
            number = states.count(state)
            if number or state in (State.BROKEN, State.OK):
                look = state if number else State.UNROUTED
                yield Tile(str(number), one if number == 1 else several, look)
    urgent = [f for f in report.findings if f.severity >= Severity.HIGH]
    yield Tile(
        str(len(report.findings)),
        f"{'problem' if len(report.findings) == 1 else 'problems'}, {len(urgent)} urgent",
        State.BROKEN if urgent else "",
        "#problems" if report.findings else "",
    )
    skipped = len({skip.check for skip in report.skips if skip.check})
    text = f"{'check' if report.checks == 1 else 'checks'} ran"
    yield Tile(
        str(report.checks),
        f"{text}; {skipped} could not see all" if skipped else text,
        "",
        "#unseen" if report.skips else "",
    )


# --- the map -----------------------------------------------------------------------------


def _map(
    whole: RequestMap, routes: Sequence[_Route], findings: Sequence[Finding], placed: set[str]
) -> Map:
    known = {finding.id for finding in findings}
    listeners = [Pool(each for each in hop.findings if each in known) for hop in whole.listeners]

    def rank(host: Host) -> tuple[object, ...]:
        return tuple(State).index(host.state), host.ways[0].listener if host.ways else 0, host.name

    attention = sorted((h for h in whole.hosts if h.state in _ATTENTION), key=rank)
    quiet = sorted((h for h in whole.hosts if h.state not in _ATTENTION), key=rank)
    drawn = attention[:MOST_DRAWN]
    groups: dict[str, list[Host]] = {}
    for host in quiet:
        groups.setdefault(_gateway(host, whole), []).append(host)
    return Map(
        drawing=layout.drawing(whole, drawn) if drawn else None,
        drawn=len(drawn),
        left=len(attention) - len(drawn),
        attention=tuple(row for host in attention for row in _rows(host, whole, routes, listeners)),
        quiet=tuple(
            Group(
                name,
                len(hosts),
                tuple(row for host in hosts for row in _rows(host, whole, routes, listeners)),
            )
            for name, hosts in sorted(groups.items())
        ),
        quiet_count=len(quiet),
        elsewhere=tuple(
            (visible(finding.id), f"{words.name(finding.field.ref)}: {visible(finding.message)}")
            for finding in findings
            if finding.severity >= Severity.HIGH and finding.id not in placed
        ),
        summary=_described(whole.hosts),
    )


def _gateway(host: Host, whole: RequestMap) -> str:
    """What a hostname comes through."""
    hop = whole.listeners[host.ways[0].listener] if host.ways else None
    if hop is None or hop.object is None:
        return "no listener"
    if hop.object.kind == "Ingress":
        return visible(f"Ingress of {hop.label}")
    return _name(hop.object)


def _described(hosts: Iterable[Host]) -> str:
    """The picture in a sentence, for those who do not see it."""
    names = [layout.hostname(host.name) for host in hosts if host.state == State.BROKEN]
    if not names:
        return "Hostnames on the left, endpoints on the right. Nothing is broken."
    return (
        "Hostnames on the left, endpoints on the right. Requests fail for "
        f"{_some(names)}. The table below says the same in words."
    )


@dataclass(frozen=True)
class _Route:
    """What stands behind a listener, in words; made once for all hostnames that lead there."""

    cells: tuple[str, str, str]
    problems: tuple[Pool, ...]


def _routes(whole: RequestMap, known: set[str]) -> list[_Route]:
    """What stands behind the same backends is worked out once for all routes that lead to them."""
    behind: dict[tuple[int, ...], tuple[tuple[str, str], Pool]] = {}
    found = []
    for route in whole.routes:
        key = tuple(route.backends)
        if key not in behind:
            behind[key] = _behind([whole.backends[position] for position in key], known)
        cells, problems = behind[key]
        own = Pool(each for each in route.hop.findings if each in known)
        found.append(_Route((layout.full(route.hop), *cells), (own, problems)))
    return found


def _behind(backends: Sequence[Backend], known: set[str]) -> tuple[tuple[str, str], Pool]:
    """Services and endpoints in words, and the problems that stand on them."""
    services = [backend.service for backend in backends]
    ends = [backend.endpoints for backend in backends if backend.endpoints is not None]
    cells = _some(list(map(layout.full, services))), _some(list(map(layout.full, ends)))
    problems = (each for hop in (*services, *ends) for each in hop.findings if each in known)
    return cells, Pool(problems)


_NO_ROUTE = _Route(("no route", "", ""), ())


def _rows(
    host: Host, whole: RequestMap, routes: Sequence[_Route], listeners: Sequence[Pool]
) -> Iterable[Row]:
    name = layout.hostname(host.name)
    for number, way in enumerate(host.ways):
        listener = whole.listeners[way.listener]
        route = routes[way.route] if way.route is not None else _NO_ROUTE
        problems, more = few((listeners[way.listener], *route.problems), MOST_NAMES)
        yield Row(
            name,
            0 if number else len(host.ways),
            host.state,
            layout.WORDS[host.state],
            layout.SIGNS[host.state],
            (layout.full(listener), *route.cells),
            problems,
            more,
        )


def _hosts_of_findings(whole: RequestMap) -> dict[str, str]:
    """By finding, the hostnames whose requests pass what it stands on; a few of them, and how many.

    Problems may be as many as hostnames, and each be one of all: so every station has one list.
    """
    at_listener: list[dict[str, None]] = [{} for _ in whole.listeners]
    at_route: list[dict[str, None]] = [{} for _ in whole.routes]
    at_backend: list[dict[str, None]] = [{} for _ in whole.backends]
    for host in whole.hosts:
        name = layout.hostname(host.name)
        for way in host.ways:
            at_listener[way.listener][name] = None
            if way.route is not None:
                at_route[way.route][name] = None
    for route, names in zip(whole.routes, at_route, strict=True):
        for position in route.backends:
            at_backend[position] |= names
    stations = [
        *zip(whole.listeners, map(Pool, at_listener), strict=True),
        *((route.hop, Pool(names)) for route, names in zip(whole.routes, at_route, strict=True)),
        *(
            (hop, pool)
            for backend, pool in zip(whole.backends, map(Pool, at_backend), strict=True)
            for hop in (backend.service, backend.endpoints)
            if hop is not None
        ),
    ]
    pools: dict[str, dict[int, Pool]] = {}
    for hop, pool in stations:
        if pool.texts:
            for finding in hop.findings:
                pools.setdefault(finding, {})[id(pool)] = pool
    return {
        finding: _and_more(*few(list(passing.values()), MOST_NAMES))
        for finding, passing in pools.items()
    }


# --- findings ----------------------------------------------------------------------------


def _problem(
    finding: Finding,
    number: int,
    hosts: str,
    *,
    fixes: bool,
    open_first: Sequence[Severity],
) -> Problem:
    fix = finding.fix if fixes else None
    manifests = changes.manifests(fix) if fix is not None else []
    apply = f"# {changes.apply_command(finding.id)}\n" if manifests else ""
    return Problem(
        id=visible(finding.id),
        number=number,
        severity=str(finding.severity),
        confidence=str(finding.confidence),
        title=visible(finding.title),
        place=words.name(finding.field.ref),
        message=visible(finding.message),
        path=visible(finding.field.pointer) or "/",
        because=tuple(words.place(spot) for spot in finding.because),
        evidence=tuple(words.evidence(seen) for seen in finding.evidence),
        hosts=hosts,
        check=finding.check,
        is_open=number <= MOST_OPEN and finding.severity == max(open_first),
        fix=f"{visible(fix.title)} ({fix.disposition})" if fix is not None else "",
        proof=words.proof(fix.proof) if fix is not None and fix.proof is not None else "",
        note=visible(finding.advice) if fix is not None else "",
        manifests=apply + "---\n".join(map(dump, manifests)) if manifests else "",
        commands="\n".join(map(visible, changes.commands(fix))) if fix is not None else "",
        decide=visible(finding.advice) if fixes and finding.fix is None else "",
    )


# --- certificates ------------------------------------------------------------------------


def _certificate(end: CertificateEnd) -> Certificate:
    left, state = _left(end)
    return Certificate(
        day=visible(end.notAfter.partition("T")[0]),
        left=left,
        state=state,
        names=_some([visible(name) for name in end.names]),
        secret=visible(f"{end.secret.namespace}/{end.secret.name}"),
        users=_some([_name(user) for user in end.usedBy]) or "nothing seen serves it",
        renewal=_name(end.writer) if end.writer is not None else "nothing seen renews it",
    )


def _left(end: CertificateEnd) -> tuple[str, str]:
    """The days left in words, and how that is."""
    days = end.daysLeft
    if end.state or days is None:
        return visible(end.state) or "not known", State.UNSEEN
    if days < 0:
        return f"expired {count(-days, 'day')} ago", State.BROKEN
    return f"in {count(days, 'day')}", State.DEGRADED if days < 14 else State.OK


def _name(named: Named) -> str:
    kind = layout.kind_of(named.apiVersion, named.kind)
    return visible(f"{kind} {named.namespace}/{named.name}".replace(" /", " "))


def _some(texts: Sequence[str]) -> str:
    """A few of them, and how many more there are."""
    return _and_more(texts[:MOST_NAMES], len(texts) - MOST_NAMES)


def _and_more(texts: Sequence[str], more: int) -> str:
    return ", ".join(texts) + (f" and {more} more" if more > 0 else "")
