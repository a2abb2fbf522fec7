"""Options of the test run, and who runs what in a run with several workers."""

from __future__ import annotations

import signal
from typing import Any
from zlib import crc32

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# The same examples in every run: what fails here fails for everybody.
settings.register_profile("same", derandomize=True, database=None)
settings.load_profile("same")


# A run in the background of a shell ignores Ctrl-C, and so would the programs that tests interrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kubeconfig",
        metavar="PATH",
        help="run the live tests against the cluster of this kubeconfig, not against a control plane "
        "of their own; they write to namespaces gwdoctor-test-* only, and delete them",
    )


#: Into so many parts a file is cut that several workers may share: to hand out each of ten thousand
#: tests by itself would take as long as the tests.
PARTS = 16


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """A file of live tests goes to one worker as a whole, parts of others to whoever is free.

    What such a file fills its control plane with is then filled in once.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if "/live/" in file else f"{file} {crc32(nodeid.encode()) % PARTS}"

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """Forgets what is done: it would be counted again after every test, thousands of times."""
        super().mark_test_complete(node, item_index, duration)
        work = self.assigned_work[node]
        scope = self._split_scope(self.registered_collections[node][item_index])
        if all(work[scope].values()):
            del work[scope]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Scheduling(config, log)
