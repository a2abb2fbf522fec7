"""`gwdoctor explain`: the page of a check."""

from __future__ import annotations

import re

from gwdoctor import pages
from gwdoctor.catalogue import catalogue
from gwdoctor.cli import program, stdout
from gwdoctor.cli.mistakes import Mistake, nearest

_FINGERPRINT = re.compile(r"-[0-9a-f]{8}(#\d+)?$")


def run(asked: str) -> int:
    """The command; returns the exit code."""
    known = catalogue()
    name = asked.strip()
    if name not in known:
        name = _FINGERPRINT.sub("", name)
    if name not in known:
        raise Mistake(
            f"there is no check {name!r}.{nearest(name, known)} "
            f"`{program.name()} checks` lists them."
        )
    page = pages.page(known[name])
    if stdout.is_terminal():
        from gwdoctor.render import pagetext

        page = pagetext.render(page, width=stdout.width(), color=stdout.wants_color("auto"))
    stdout.write(page)
    return 0
