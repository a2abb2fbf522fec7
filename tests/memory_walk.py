"""A scan that looks through its own memory when the report is written: is a key in it?

    python memory_walk.py [leak] scan ... <<<'["a piece of a key", ...]'

Writes which of the pieces are in an object that can be reached. The pieces are read after the
objects were listed, so that they find no copy of themselves. `leak` keeps what may not be kept.
"""

from __future__ import annotations

import gc
import json
import sys
from typing import Any

import msgspec

from gwdoctor.cli import app
from gwdoctor.cli.writing import Writer
from gwdoctor.source import secrets


def texts() -> list[str | bytes]:
    """Every text in memory that something refers to."""
    gc.collect()
    known: dict[int, Any] = {}
    waiting: list[Any] = gc.get_objects()
    found: list[str | bytes] = []
    while waiting:
        one = waiting.pop()
        if id(one) in known or one is known or one is waiting or one is found:
            continue
        known[id(one)] = one
        if isinstance(one, str | bytes):
            found.append(one)
        elif isinstance(one, bytearray | memoryview | msgspec.Raw):
            found.append(bytes(one))
        else:
            waiting += gc.get_referents(one)
    return found


def look(*_: Any) -> None:
    """In place of writing the report, with everything still there that the report is made of."""
    found = texts()
    pieces = json.load(sys.stdin)
    held = [
        piece
        for piece in pieces
        if any(
            (piece in text if isinstance(text, str) else piece.encode() in text) for text in found
        )
    ]
    print(json.dumps({"texts": len(found), "held": held}))


def main() -> int:
    """Scan."""
    arguments = sys.argv[1:]
    if arguments[0] == "leak":
        del arguments[0]
        kept: list[Any] = []
        reduce = secrets.reduce
        secrets.reduce = lambda secret: (kept.append(secret), reduce(secret))[1]  # type: ignore[func-returns-value]
    Writer.write = look  # type: ignore[method-assign, assignment]
    return app.run(["gwdoctor", *arguments])


if __name__ == "__main__":
    main()
