"""Downloads a list of URLs and throws the bytes away: what no reader of a cluster can be faster than."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import urllib3


def main() -> None:
    """`python -m testbed.download FILE`: the JSON file says what to fetch, and how many at a time."""
    order = json.loads(Path(sys.argv[1]).read_text())
    pool = urllib3.PoolManager(
        maxsize=order["connections"], block=True, retries=False, ca_certs=order["ca_file"]
    )

    def fetch(request: tuple[str, dict[str, str]]) -> int:
        url, headers = request
        response = pool.request("GET", url, headers=headers, preload_content=False)
        size = sum(map(len, response.stream(1 << 20, decode_content=False)))
        response.release_conn()
        if response.status != 200:
            raise RuntimeError(f"{url}: {response.status}")
        return size

    with ThreadPoolExecutor(order["connections"]) as threads:
        print(sum(threads.map(fetch, order["requests"])))


if __name__ == "__main__":
    main()
