"""A snapshot gives the report that the cluster gave, and holds nothing that it should not."""

from __future__ import annotations

import gzip
import json
import os
import re
import stat
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import casefile
import certs
import pytest

from gwdoctor import kinds
from gwdoctor.catalogue import catalogue
from gwdoctor.engine import scan
from gwdoctor.gather import Picture, gather
from gwdoctor.kinds import READINGS
from gwdoctor.model import Gap, Ref, Resource, Target
from gwdoctor.render.document import document
from gwdoctor.source import snapshot
from gwdoctor.source.batch import Batch
from gwdoctor.source.snapshot import BadSnapshot, Snapshot

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TARGET = Target(context="prod", server="https://api:6443", user="alice", namespaces=("a", "b"))


def resources() -> tuple[Resource, ...]:
    """The objects of every case, each once."""
    found: dict[Ref, Resource] = {}
    for case in casefile.case_files():
        for resource in casefile.resources_of(casefile.documents(case.read_text())):
            found.setdefault(resource.ref, resource)
    return tuple(found.values())


def batch() -> Batch:
    return Batch(
        resources=resources(),
        gaps=(
            Gap(
                kind=kinds.SECRET,
                reason="may not be listed (403)",
                namespace="b",
                rbac={"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]},
            ),
            Gap(kind=kinds.POD_WHOLE, reason="gone", namespace="a", name="x", claimed=False),
        ),
        absent=frozenset({Ref(kinds.CONFIG_MAP, "a", "ca"), Ref(kinds.POD_WHOLE, "a", "p")}),
        missing_kinds=frozenset({kinds.KONG_INGRESS}),
        versions={kinds.GATEWAY: "v1beta1", kinds.HTTP_ROUTE: "v1"},
        by_reference=frozenset({kinds.SECRET, kinds.CONFIG_MAP}),
        listed=frozenset({(kinds.REFERENCE_GRANT, "elsewhere")}),
        namespaces=frozenset({"a", "b"}),
        target=TARGET,
        now=NOW,
        incomplete=True,
    )


class Given:
    """A source that has this batch."""

    def __init__(self, given: Batch) -> None:
        self._given = given

    def list(self, _: object) -> Batch:
        return self._given

    def fetch(self, _: object) -> Batch:
        return Batch()


def report(picture: Picture) -> dict[str, Any]:
    return document(scan(picture.cluster, list(catalogue().values()), target=picture.target))


def test_the_batch_comes_back_as_it_was() -> None:
    given = batch()

    again = Snapshot(snapshot.save(given, READINGS, NOW, TARGET)).list(READINGS)

    def by_ref(which: Batch) -> dict[Ref, tuple[str, Any]]:
        return {r.ref: (r.ref.version, r.value) for r in which.resources}

    assert by_ref(again) == by_ref(given)
    assert replace(again, resources=()) == replace(given, resources=())


def test_the_report_of_a_snapshot_is_that_of_the_cluster() -> None:
    probes = list(catalogue().values())
    given = replace(batch(), namespaces=None, gaps=())

    live = report(gather(Given(given), probes))
    data = snapshot.save(given, READINGS, NOW, TARGET)
    saved = report(gather(Snapshot(data), probes))

    assert live["findings"], "nothing to compare"
    assert json.dumps(saved) == json.dumps(live)


def test_the_same_batch_gives_the_same_bytes() -> None:
    given = batch()
    turned = replace(given, resources=given.resources[::-1])

    saved = snapshot.save(given, READINGS, NOW, TARGET)

    assert saved == snapshot.save(turned, sorted(READINGS, reverse=True), NOW, TARGET)
    assert saved[4:8] == bytes(4), "gzip writes the time into its head"


def test_a_kind_that_was_not_saved_is_a_gap_and_not_absent() -> None:
    given = Batch(resources=())
    held = Snapshot(snapshot.save(given, [kinds.SERVICE], NOW, TARGET))

    found = held.list([kinds.SERVICE, kinds.GATEWAY])

    assert [gap.kind for gap in found.gaps] == [kinds.GATEWAY]


def test_no_data_of_a_secret_is_in_it() -> None:
    data = certs.secret_data(certs.NOW, dns=["a.example.com"]) | {"password": "aHVudGVyMg=="}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "tls", "namespace": "shop"},
        "data": data,
        "stringData": {"other": "correct horse"},
    }
    given = Batch(resources=tuple(casefile.resources_of([secret])))

    text = gzip.decompress(snapshot.save(given, READINGS, NOW, TARGET)).decode()

    assert "a.example.com" in text
    for lacking in ("hunter2", "aHVudGVyMg", "correct horse", "PRIVATE KEY", data["tls.key"][:40]):
        assert lacking not in text


def test_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    file = tmp_path / "s.gz"
    file.write_bytes(b"older")
    file.chmod(0o644)

    snapshot.write(str(file), b"data")

    assert file.read_bytes() == b"data"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["s.gz"]


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    link = tmp_path / "null"
    link.symlink_to(os.devnull)

    snapshot.write(str(link), b"data")

    assert link.is_symlink()
    assert not os.path.isfile(os.devnull)


def _altered(**fields: Any) -> bytes:
    plain = json.loads(gzip.decompress(snapshot.save(Batch(), [], NOW, TARGET)))
    return gzip.compress(json.dumps(plain | fields).encode())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "does not hold JSON"),
        (b"plain", "not packed with gzip"),
        (gzip.compress(b"x" * 10_000)[:-20], "not packed with gzip"),
        (gzip.compress(b"no json"), "does not hold JSON"),
        (gzip.compress(b"[]"), "does not have the form"),
        (gzip.compress(b"{}"), "does not have the form"),
        (_altered(gwdoctor_snapshot=99), "in a newer form (99)"),
        (_altered(taken="yesterday"), "its time"),
    ],
    ids=["empty", "plain", "cut", "no-json", "a-list", "no-fields", "newer", "bad-time"],
)
def test_what_is_no_snapshot_is_told_so(data: bytes, reason: str) -> None:
    with pytest.raises(BadSnapshot, match=re.escape(reason)):
        Snapshot(data)


def test_a_snapshot_that_unpacks_to_more_than_memory_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshot, "MOST_BYTES", 1 << 20)
    within, beyond = (gzip.compress(b"[" + b" " * size + b"]") for size in ((1 << 20) - 2, 1 << 26))

    with pytest.raises(BadSnapshot, match="form of a snapshot"):
        Snapshot(within)
    tracemalloc.start()
    with pytest.raises(BadSnapshot, match="larger than 1 MiB"):
        Snapshot(beyond)
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


def test_an_object_of_the_wrong_form_is_told_so() -> None:
    entry = {"kind": {"name": "Service"}, "objects": [{"version": "v1", "view": {"metadata": 7}}]}
    held = Snapshot(_altered(kinds=[entry]))

    with pytest.raises(BadSnapshot, match="an object of kind Service"):
        held.list([kinds.SERVICE])


def test_kinds_that_this_version_does_not_know_are_passed_over() -> None:
    entry = {"kind": {"name": "Comet", "group": "sky.io"}, "objects": []}

    assert Snapshot(_altered(kinds=[entry])).list([kinds.SERVICE]).resources == ()
