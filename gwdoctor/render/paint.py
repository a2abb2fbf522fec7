"""Colours for words; they only repeat what the words say."""

from __future__ import annotations

from gwdoctor.model import Severity

STYLES = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
}
_CODES = {"bold red": "1;31", "red": "31", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2"}


def painted(text: str, style: str, *, color: bool) -> str:
    """Text between two escape sequences, or as it is."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if color else text
