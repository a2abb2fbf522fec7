"""Whether a path, a method or a header passes a test. None where that is not known.

Expressions come from the cluster: one that could take forever is not tried.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable

#: So many steps an expression may cost at worst.
_MOST_STEPS = 100_000_000


def under(prefix: str, path: str) -> bool:
    """Whether a path is a prefix or below it, element by element: `/cart` holds `/cart/1`, not `/carts`.

    Gateway API's PathPrefix and the Prefix of an Ingress; the trailing slash does not count.
    """
    bare = prefix.rstrip("/")
    return not bare or path == bare or path.startswith(f"{bare}/")


def fits(expression: str, text: str, *, whole: bool = True) -> bool | None:
    """Whether a regular expression matches a text: all of it, or its beginning.

    Proxies use RE2 or Rust's, we Python's: what they would read differently is not known.
    """
    if _is_costly(expression, len(text)):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled = re.compile(expression)
    except (re.error, RecursionError, OverflowError):
        return None
    found = compiled.fullmatch(text) if whole else compiled.match(text)
    return found is not None


def _is_costly(expression: str, length: int) -> bool:
    """Whether trying it may take very long: repetitions of repetitions, or many of them."""
    repeats = 0
    groups: list[bool] = []  #: of each open group, whether something in it repeats or branches
    closed = False  #: whether the last group that was closed did
    position, in_class = 0, False
    while position < len(expression):
        sign = expression[position]
        following = expression[position + 1 : position + 2]
        if sign == "\\":
            position += 2
            closed = False
            continue
        if in_class:
            in_class = sign != "]"
        elif sign == "[":
            in_class = True
            closed = False
        elif sign == "(":
            groups.append(False)
            closed = False
        elif sign == ")":
            closed = groups.pop() if groups else False
            if groups:
                groups[-1] = groups[-1] or closed
        elif sign in "*+" or (sign == "{" and following.isdigit()):
            if closed:
                return True
            repeats += 1
            groups = [True] * len(groups)
        elif sign == "|":
            groups = [True] * len(groups)
            closed = False
        else:
            closed = closed and sign == "?"
        position += 1
    steps: int = max(length, 1) ** min(repeats, 8)
    return steps > _MOST_STEPS


def every(answers: Iterable[bool | None]) -> bool | None:
    """All of these: False where one is, else None where one is not known."""
    result: bool | None = True
    for answer in answers:
        if answer is False:
            return False
        if answer is None:
            result = None
    return result


def some(answers: Iterable[bool | None]) -> bool | None:
    """One of these: True where one is, else None where one is not known."""
    result: bool | None = False
    for answer in answers:
        if answer:
            return True
        if answer is None:
            result = None
    return result
