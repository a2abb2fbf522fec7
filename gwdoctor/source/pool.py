"""The connection pool of the `kubernetes` client, without the rest of it.

`import kubernetes` runs everything that the package has (OAuth, requests, pydantic, watches):
half a second and 18 MB, as much as a whole scan of a small cluster. The two modules that make a
pool need none of it, so they are imported under a package that stays empty meanwhile.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from gwdoctor.source import pace

_LOCK = threading.Lock()


def pool_manager(server: str, **settings: Any) -> Any:
    """A urllib3 pool for one server; `settings` are attributes of kubernetes' Configuration.

    Its requests are made within a `pace`.
    """
    with _LOCK, _without_the_rest():
        from kubernetes.client.configuration import Configuration
        from kubernetes.client.rest import RESTClientObject

    configuration = Configuration(host=server)
    for name, value in settings.items():
        setattr(configuration, name, value)
    manager = RESTClientObject(configuration).pool_manager
    pace.keep(manager)
    return manager


@contextmanager
def _without_the_rest() -> Iterator[None]:
    """While this lasts, `kubernetes` is its folder and nothing more."""
    found = None if "kubernetes" in sys.modules else importlib.util.find_spec("kubernetes")
    if found is None or found.submodule_search_locations is None:
        yield  # somebody has imported all of it already
        return
    empty = ModuleType("kubernetes")
    empty.__path__ = list(found.submodule_search_locations)
    sys.modules["kubernetes"] = empty
    try:
        yield
    finally:
        del sys.modules["kubernetes"]  # who imports it later gets the real one
