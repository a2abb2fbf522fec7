"""Reads whole kinds with the dynamic client of the `kubernetes` package: what most scripts do."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from kubernetes import config  # noqa: TID251 - what it costs is the question
from kubernetes.dynamic import DynamicClient  # noqa: TID251

PAGE = 500


def main() -> None:
    """`python -m testbed.dynamic FILE`: the JSON file lists [group/version, plural]."""
    client = DynamicClient(config.new_client_from_config())  # type: ignore[no-untyped-call]
    count = 0
    for api_version, plural in json.loads(Path(sys.argv[1]).read_text()):
        resource = next(
            each for each in client.resources.search(api_version=api_version) if each.name == plural
        )
        more = None
        while more != "":
            page = client.get(resource, limit=PAGE, _continue=more)  # type: ignore[no-untyped-call]
            count += len(page.items)
            more = page.metadata.get("continue") or ""
    print(count)


if __name__ == "__main__":
    main()
