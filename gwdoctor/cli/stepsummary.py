"""The summary of a step of GitHub Actions: a file that every step may add to."""

from __future__ import annotations

import os

from gwdoctor.model import Report
from gwdoctor.render.formats import Style

#: What GitHub shows of one step; a longer summary is not shown at all.
MOST = 1024 * 1024
VARIABLE = "GITHUB_STEP_SUMMARY"


def append(report: Report, style: Style) -> list[str]:
    """Add the report as Markdown, if a step asks for it; returns what went wrong."""
    path = os.environ.get(VARIABLE)
    if not path:
        return []
    from gwdoctor.render import markdown

    try:
        room = MOST - (os.path.getsize(path) if os.path.exists(path) else 0)
        text = markdown.within(report, style, room)
        with open(path, "ab") as file:
            file.write(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        return [f"{path} (${VARIABLE}): {error.strerror}"]
    return []
