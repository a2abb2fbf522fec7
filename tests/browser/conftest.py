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


@contextmanager
def launched(*options: str) -> Iterator[Any]:
    """A browser without a profile, of playwright, with more options of the command line."""
    path = chromium()
    if path is None:
        pytest.skip(f"there is no Chromium: none of {', '.join(NAMES)} is in PATH")
    driver = pytest.importorskip("playwright.sync_api")
    with driver.sync_playwright() as playwright:
        # as root, in CI, Chromium's own sandbox cannot be used
        running = playwright.chromium.launch(
            executable_path=path, chromium_sandbox=os.geteuid() != 0, args=list(options)
        )
        yield running
        running.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A browser for the pages of a report."""
    with launched() as running:
        yield running
