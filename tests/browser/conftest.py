"""A real Chromium: the one of the system. Where there is none these tests are skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

#: How distributions call it.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str | None:
    """Its path: GWDOCTOR_CHROMIUM, or what PATH has."""
    return os.environ.get("GWDOCTOR_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Any]:
    """What drives browsers; there can be one in a process."""
    if chromium() is None:
        pytest.skip(f"there is no Chromium: none of {', '.join(NAMES)} is in PATH")
    driver = pytest.importorskip("playwright.sync_api")
    with driver.sync_playwright() as started:
        yield started


@contextmanager
def launched(playwright: Any, *options: str) -> Iterator[Any]:
    """A browser without a profile, with more options of the command line."""
    # as root, in CI, Chromium's own sandbox cannot be used
    running = playwright.chromium.launch(
        executable_path=chromium(), chromium_sandbox=os.geteuid() != 0, args=list(options)
    )
    yield running
    running.close()


@pytest.fixture(scope="session")
def browser(playwright: Any) -> Iterator[Any]:
    """A browser for the pages of a report."""
    with launched(playwright) as running:
        yield running
