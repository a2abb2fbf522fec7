"""What --report-to says, and the addresses that it leads to."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from gwdoctor.cli.mistakes import Mistake
from gwdoctor.delivery.destinations import HOOKS, BadDestination, Destination, parsed

if TYPE_CHECKING:
    from gwdoctor.source.outward import Address


def destinations(texts: Collection[str] | None) -> tuple[Destination, ...]:
    """What --report-to says. Raises Mistake."""
    try:
        return parsed(texts or ())
    except BadDestination as error:
        raise Mistake(f"--report-to: {error}") from None


def is_sent(one: Destination) -> bool:
    """Whether it goes to an address outside."""
    return one.kind in HOOKS or one.kind == "pushgateway"


def address(one: Destination) -> Address:
    """Where to, read from the environment or a file. Raises Mistake."""
    from gwdoctor.source import outward

    if one.variable:
        url, what = os.environ.get(one.variable, ""), f"the variable {one.variable}"
    else:
        path = one.value.removeprefix("file:")
        what = f"the file {path}"
        try:
            url = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise Mistake(f"--report-to {one}: {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise Mistake(f"--report-to {one}: {what} is no text") from None
    if not url:
        raise Mistake(f"--report-to {one}: {what} is empty")
    try:
        return outward.address(url, what)
    except outward.Undelivered as error:
        raise Mistake(f"--report-to {one}: {error}") from None
