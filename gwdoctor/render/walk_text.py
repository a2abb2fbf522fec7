"""A walk as lines: folded and coloured on a terminal, plain and whole in a pipe."""

from __future__ import annotations

import textwrap
from collections.abc import Generator, Iterable, Iterator

from gwdoctor.entry import State
from gwdoctor.model import Finding, Severity, Skip, Target
from gwdoctor.render import words
from gwdoctor.render.paint import STYLES, painted
from gwdoctor.render.walk_document import in_order
from gwdoctor.render.words import Ending, count, visible
from gwdoctor.walk.hops import Hop, Step, Walk, Way

_COLORS = {
    State.BROKEN: "bold red",
    State.DEGRADED: "yellow",
    State.UNSEEN: "cyan",
    State.OK: "dim",
}
_MOST_HOPS = 13  #: columns of `certificate` and `load balancer`


def render(
    walk: Walk,
    target: Target,
    skips: Iterable[Skip],
    end: Ending,
    *,
    width: int | None = None,
    color: bool = False,
    program: str = "gwdoctor",
) -> str:
    """The verdict, each way with its hops, and how it ends. `width` None: nothing is folded."""
    lines = list(_Lines(width, color, program).walk(walk, target, tuple(skips), end))
    return "\n".join(line.rstrip(" ") for line in lines) + "\n"


_WORDS = {
    State.BROKEN: "Broken",
    State.DEGRADED: "Some requests fail, or will soon",
    State.UNSEEN: "Not seen",
}
_MOST_PLACES = 4


def verdict(walk: Walk) -> str:
    """Where it breaks, in a line."""
    told = []
    if not walk.is_answered:
        told.append("Nothing that was seen takes this request.")
    for state, lead in _WORDS.items():
        places = list(
            dict.fromkeys(
                f"{hop.what}{f' ({hop.object})' if hop.object is not None else ''}"
                for hop in walk.all_hops()
                if hop.state is state
            )
        )
        if places:
            more = len(places) - _MOST_PLACES
            rest = f" and {more} more" if more > 0 else ""
            told.append(f"{lead}: {', '.join(places[:_MOST_PLACES])}{rest}.")
    return visible(" ".join(told) or "Nothing is broken on the way.")


class _Lines:
    def __init__(self, width: int | None, color: bool, program: str) -> None:
        self._program = program
        self._width = max(width, 40) if width is not None else None
        self._color = color

    def walk(
        self, walk: Walk, target: Target, skips: tuple[Skip, ...], end: Ending
    ) -> Iterator[str]:
        """Everything."""
        yield from self._folded(words.where(target), style="dim")
        yield from self._folded(verdict(walk), style="bold")
        yield ""
        told: set[str] = set()
        for position, step in enumerate(walk.steps):
            if position:
                yield ""
            yield from self._step(step, position, told)
        more = {skip.reason for skip in skips}
        if more:
            yield ""
            about = count(len(more), "reason")
            yield from self._folded(
                f"not all checks could look ({about}); `{self._program} scan` tells which",
                style="dim",
            )
        yield ""
        yield from self._folded(words.ending(end), style="dim")

    def _step(self, step: Step, position: int, told: set[str]) -> Iterator[str]:
        request = step.request
        lead = "then " if position else ""
        yield from self._folded(f"{lead}{visible(f'{request.method} {request.url}')}", style="bold")
        extra = [f"{name}: {', '.join(values)}" for name, values in request.told_headers.items()]
        if request.sni and request.sni != request.host:
            extra.append(f"SNI {request.sni}")
        if request.address and request.address != request.host:
            extra.append(f"at {request.address}")
        if extra:
            yield from self._folded(visible("; ".join(extra)), indent=2)
        if len(step.ways) > 1:
            yield from self._folded(
                f"{count(len(step.ways), 'entry', 'entries')} of the cluster have the host; DNS and "
                "load balancers decide which one it comes to."
            )
        for way in step.ways:
            yield ""
            yield from self._way(way, told)
        if step.near:
            yield ""
            yield "What comes near:"
            for near in step.near:
                place = words.place(near.field)
                yield from self._folded(f"{place}: {visible(near.says)}", indent=2, hang=4)
                for finding in in_order(near.findings):
                    yield from self._finding(finding, told, 4)
        for hop in step.unseen:
            yield from self._hop(hop, told)

    def _way(self, way: Way, told: set[str]) -> Iterator[str]:
        reached = f" at {', '.join(way.addresses)}" if way.addresses else ""
        name = f"{way.system}: {way.name}{reached}"
        yield from self._folded(visible(name), style="bold")
        if way.is_elsewhere:
            yield from self._folded("not the address that is asked for", indent=2)
        was_broken = False
        for hop in way.hops:
            was_broken = yield from self._next(hop, was_broken, told, indent=2)
        several = len(way.branches) > 1
        for branch in way.branches:
            if several:
                share = f"{branch.share:.0f}" if branch.share >= 1 else f"{branch.share:.2f}"
                yield f"  {share}% of requests (weight {branch.weight}):"
            broken = was_broken
            for hop in branch.hops:
                broken = yield from self._next(hop, broken, told, indent=4 if several else 2)

    def _next(
        self, hop: Hop, was_broken: bool, told: set[str], *, indent: int
    ) -> Generator[str, None, bool]:
        if hop.after_break and not was_broken:
            yield f"{' ' * indent}{self._painted('it would go on:', 'dim')}"
        yield from self._hop(hop, told, indent=indent)
        return was_broken or hop.after_break

    def _hop(self, hop: Hop, told: set[str], *, indent: int = 2) -> Iterator[str]:
        state = f"{hop.state!s:8}"
        what = f"{hop.what:{_MOST_HOPS}}"
        ref = f"{hop.object} " if hop.object is not None and hop.object.name else ""
        text = visible(f"{ref.rstrip()}: {hop.says}" if ref else hop.says)
        hang = indent + 8 + 1 + _MOST_HOPS + 1
        lines = self._wrapped(f"{' ' * indent}{state} {what} {text}", hang)
        shown = self._painted(state, _COLORS[hop.state])
        yield lines[0].replace(state, shown, 1) if self._color else lines[0]
        yield from lines[1:]
        if hop.unverified:
            yield from self._folded(
                f"not verified: {visible(hop.unverified)}", indent=hang, style="dim"
            )
        if hop.rbac:
            rule = words.rule_of(hop.rbac)
            yield from self._folded(f"a role with this rule shows it: {{{rule}}}", indent=hang)
        for finding in in_order(hop.findings):
            yield from self._finding(finding, told, hang)

    def _finding(self, finding: Finding, told: set[str], indent: int) -> Iterator[str]:
        severity = str(finding.severity)
        if finding.id in told:
            yield from self._folded(f"{severity}  {finding.id} (see above)", indent=indent)
            return
        told.add(finding.id)
        pad = " " * indent
        yield f"{pad}{self._painted(severity, STYLES[finding.severity])}  {finding.id}"
        told_more = f": {finding.message}" if finding.severity >= Severity.HIGH else ""
        yield from self._folded(visible(finding.title + told_more), indent=indent + 2)

    # --- text ------------------------------------------------------------------------

    def _folded(
        self, text: str, *, indent: int = 0, hang: int | None = None, style: str = ""
    ) -> list[str]:
        lines = self._wrapped(" " * indent + text, indent if hang is None else hang)
        return [self._painted(line, style) for line in lines] if style else lines

    def _wrapped(self, text: str, hang: int) -> list[str]:
        if self._width is None:
            return [text]
        width = max(self._width, hang + 20)
        return textwrap.wrap(
            text,
            width,
            subsequent_indent=" " * hang,
            break_long_words=False,
            break_on_hyphens=False,
            drop_whitespace=True,
        ) or [""]

    def _painted(self, text: str, style: str) -> str:
        return painted(text, style, color=self._color)
