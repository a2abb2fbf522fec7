"""What a webhook is sent: only what is new and what is fixed.

Names and messages come from objects that others write, so nothing in them may be read as markup:
Slack gets plain text blocks, Teams text runs; neither makes links, mentions or emoji of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gwdoctor.delivery.history import News
from gwdoctor.delivery.summary import changed, fixed_line, headline, line
from gwdoctor.model import Report
from gwdoctor.render.document import finding as finding_document
from gwdoctor.render.document import summary as counts
from gwdoctor.render.words import visible, where
from gwdoctor.version import __version__

Message = dict[str, Any]

#: New and fixed findings that are told one by one, each; the others are counted.
MOST_LINES = 20
_SLACK_TEXT = 2900  # of 3,000


def bodies() -> Mapping[str, Callable[[Report, News], Message]]:
    """How the message of each kind of webhook is made."""
    return {"webhook": generic, "slack": slack, "teams": teams}


def body(kind: str, report: Report, news: News) -> bytes:
    """The message, as it is sent."""
    return json.dumps(bodies()[kind](report, news)).encode()


def generic(report: Report, news: News) -> Message:
    """For programs: the same fields as in the report, version 1, without the fixes."""
    return {
        "version": 1,
        "tool": {"name": "gwdoctor", "version": __version__},
        "target": {
            "context": report.target.context,
            "server": report.target.server,
            "namespaces": list(report.target.namespaces),
        },
        "taken": news.memory.taken,
        "since": news.since or None,
        "summary": counts(report),
        "new": [
            {**finding_document(finding), "fix": None, "because": [], "evidence": []}
            for finding in news.new[:MOST_LINES]
        ],
        "fixed": [msgspec.to_builtins(known) for known in news.fixed[:MOST_LINES]],
        "more": {
            "new": max(0, len(news.new) - MOST_LINES),
            "fixed": max(0, len(news.fixed) - MOST_LINES),
        },
    }


def slack(report: Report, news: News) -> Message:
    """For an incoming webhook of Slack."""
    blocks = [_slack_block(text) for text in _paragraphs(report, news)]
    return {"text": _slack_escaped(headline(report)), "blocks": blocks}


def _slack_block(text: str) -> Message:
    shown = text if len(text) <= _SLACK_TEXT else f"{text[:_SLACK_TEXT]}..."
    return {"type": "section", "text": {"type": "plain_text", "text": shown, "emoji": False}}


def _slack_escaped(text: str) -> str:
    """The text of the notification is markup, whatever the blocks are."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def teams(report: Report, news: News) -> Message:
    """For a workflow of Teams that posts an adaptive card."""
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text}]}
            for text in _paragraphs(report, news)
        ],
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "content": card}]}


def _paragraphs(report: Report, news: News) -> list[str]:
    """The message as text: at most 2 x 20 lines and a few."""
    head = [visible(where(report.target)), headline(report), *changed(news)]
    new = [line(finding, is_new=not news.is_first) for finding in news.new[:MOST_LINES]]
    if len(news.new) > MOST_LINES:
        new.append(f"and {len(news.new) - MOST_LINES} more")
    fixed = [fixed_line(known) for known in news.fixed[:MOST_LINES]]
    if len(news.fixed) > MOST_LINES:
        fixed.append(f"and {len(news.fixed) - MOST_LINES} more fixed")
    return ["\n".join(head), *new, *fixed]
