"""Our own pages on a terminal: paragraphs are folded, code is indented and stays as it is.

Pages hold headings, paragraphs, lists and fenced code; nothing from a cluster comes here.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from gwdoctor.render.paint import painted

_LABELS = {"yaml bad": "Broken:", "yaml fixed": "Mended, only what changes:"}


def render(page: str, *, width: int, color: bool) -> str:
    """The page."""
    return "\n".join(_lines(page.splitlines(), min(width, 100), color)) + "\n"


def _lines(page: list[str], width: int, color: bool) -> Iterator[str]:
    paragraph: list[str] = []
    code: list[str] | None = None
    for line in [*page, ""]:
        if code is not None:
            if line == "```":
                yield from textwrap.indent("\n".join(code), "    ").split("\n")
                code = None
            else:
                code.append(line)
            continue
        starts_anew = line.startswith(("```", "#", "- "))
        if paragraph and (not line or starts_anew):
            yield from _folded(" ".join(paragraph), width)
            paragraph = []
        if line.startswith("```"):
            code = []
            if line[3:] in _LABELS:
                yield from (painted(_LABELS[line[3:]], "dim", color=color), "")
        elif line.startswith("#"):
            yield painted(line.lstrip("# "), "bold", color=color)
        elif line:
            paragraph.append(line.strip())
        else:
            yield ""


def _folded(text: str, width: int) -> list[str]:
    indent = "  " if text.startswith("- ") else ""
    text = text.replace("**", "")
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
