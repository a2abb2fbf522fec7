"""The command line as kubectl's users type it, in the form that click reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_SHORT_WITH_EQUALS = re.compile(r"-[a-zA-Z]=", re.ASCII)
_TRUE = ("true", "1", "t")
_FALSE = ("false", "0", "f")
#: Flags without a value, which kubectl takes as `--flag=true` as well.
SWITCHES = (
    "--all-namespaces",
    "-A",
    "--all",
    "--check",
    "--diff",
    "--disable-compression",
    "--include-review",
    "--insecure-skip-tls-verify",
    "--no-fixes",
)


def as_click_reads(arguments: Iterable[str]) -> Iterator[str]:
    """`-o=json` becomes `-o json`, `--flag=true` becomes `--flag`, `--flag=false` nothing."""
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            yield argument
            yield from rest
            return
        name, equals, value = argument.partition("=")
        if equals and name in SWITCHES and value.lower() in (*_TRUE, *_FALSE):
            if value.lower() in _TRUE:
                yield name
        elif _SHORT_WITH_EQUALS.match(argument):
            yield name
            yield value
        else:
            yield argument
