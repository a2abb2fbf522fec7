"""What the user can mend: every such error is one sentence on stderr, and exit code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class Mistake(Exception):
    """A flag, a file or an expression that cannot be used; the text says what to do."""


def nearest(word: str, known: Iterable[str]) -> str:
    """` Did you mean X?`, or nothing where no known word is near."""
    names = sorted(set(known))
    found = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if not found:  # `protocol-missing` for `kong/upstream-protocol-missing`
        found = [name for name in names if len(word) > 3 and word.lower() in name][:1]
    return f" Did you mean {found[0]!r}?" if found else ""
