"""The store behind the API server, through etcd's JSON gateway: enough to put it back as it was."""

from __future__ import annotations

import json
import time
from base64 import b64decode, b64encode
from bisect import bisect_right
from collections.abc import Iterable, Iterator

from testbed.client import Client, Manifest

START, END = b"/registry/", b"/registry0"
#: Of one transaction: etcd takes 128 operations and a megabyte and a half.
MOST_ENTRIES, MOST_BYTES = 100, 1_000_000


class Store:
    """The keys of the API server in etcd. It keeps every revision until it is told to compact."""

    def __init__(self, endpoint: str) -> None:
        self._client = Client(endpoint)
        self._brought_back: dict[tuple[int, bytes], str] = {}

    def revision(self) -> int:
        """The number of the present state of the store."""
        answer = self._call("range", {"key": _text(START), "count_only": True})
        return int(answer["header"]["revision"])

    def keys(self, revision: int = 0) -> dict[bytes, str]:
        """Every key, with the revision in which it was last written; as of `revision`, or now."""
        everything = {"key": _text(START), "range_end": _text(END), "keys_only": True}
        answer = self._call("range", {**everything, "revision": revision})
        return {b64decode(each["key"]): each["mod_revision"] for each in answer.get("kvs", ())}

    def values(self, keys: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """What is stored now under these keys."""
        for key in keys:
            answer = self._call("range", {"key": _text(key)})
            yield key, b64decode(answer["kvs"][0]["value"])

    def put(self, entries: Iterable[tuple[bytes, bytes]]) -> int:
        """Store these values under these keys, in few transactions, and return their number."""
        number = size = 0
        waiting: list[Manifest] = []
        for key, value in entries:
            if waiting and (len(waiting) == MOST_ENTRIES or size + len(value) > MOST_BYTES):
                self._call("txn", {"success": waiting})
                waiting, size = [], 0
            waiting.append({"requestPut": {"key": _text(key), "value": _text(value)}})
            size += len(value)
            number += 1
        if waiting:
            self._call("txn", {"success": waiting})
        return number

    def restore(self, revision: int, *, leave: tuple[bytes, ...]) -> None:
        """Delete what has come since, bring back what was changed or deleted; `leave` are prefixes."""
        then, now = self.keys(revision), self.keys()
        foreign = [key for key in now if key not in then and not key.startswith(leave)]
        stay = sorted(then.keys() | (now.keys() - set(foreign)))
        gone = b""
        for key in sorted(foreign):
            # One call deletes everything up to the next key that stays.
            if key >= gone:
                following = bisect_right(stay, key)
                gone = stay[following] if following < len(stay) else END
                self._call("deleterange", {"key": _text(key), "range_end": _text(gone)})
        changed = [
            key
            for key, written in then.items()
            if now.get(key) not in (written, self._brought_back.get((revision, key), written))
            and not key.startswith(leave)
        ]
        for key in changed:
            self._wait_for_its_deletion(key)
            was = self._call("range", {"key": _text(key), "revision": revision})
            done = self._call("put", {"key": _text(key), "value": was["kvs"][0]["value"]})
            self._brought_back[revision, key] = done["header"]["revision"]

    def _wait_for_its_deletion(self, key: bytes) -> None:
        """The server deletes a CRD in its own time, and would take what we bring back as well."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            found = self._call("range", {"key": _text(key)}).get("kvs", ())
            try:
                going = (
                    found
                    and "deletionTimestamp" in json.loads(b64decode(found[0]["value"]))["metadata"]
                )
            except ValueError:  # not JSON: nothing that waits for a finalizer of the server's
                going = False
            if not going:
                return
            time.sleep(0.02)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _call(self, what: str, body: Manifest) -> Manifest:
        answer = self._client.request("POST", f"/v3/kv/{what}", body)
        if not answer.ok:
            raise RuntimeError(f"etcd {what}: {answer.message}")
        return answer.json()


def _text(key: bytes) -> str:
    return b64encode(key).decode()
