"""Whole clusters of bad objects: the cases of the checks, with hostile names and broken fields.

What is made here is what an API server, or whoever stands in its place, may send. It is read by the
decoder of the live source, so that an object is either read or a gap.
"""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import casefile
import certs
import reports
from hypothesis import strategies as st

from gwdoctor import Cluster, Kind, kinds
from gwdoctor.catalogue import catalogue
from gwdoctor.kinds import READINGS
from gwdoctor.model import Gap, Ref, Resource
from gwdoctor.source import lister
from gwdoctor.source.discovery import Served

#: A word that does harm where it is not quoted for a shell: the test looks whether it was run.
IN_A_SHELL = "x'; stray 1; \"$(stray 2)`stray 3`"
MARKUP = "<stray onload=stray>&lt;stray&gt;</script><!--"
#: Texts that somebody may have put where a name should be. A lone surrogate is no JSON.
TEXTS = (
    *(text for text in reports.HOSTILES if text.isascii() or text.encode("utf-8", "ignore")),
    IN_A_SHELL,
    MARKUP,
    "-o=/dev/full",
    "a" * 253 + "." + "b" * 253,
    "*.",
    "*",
    "..",
    "/",
    "a/b/c",
    "xn--bcher-kva.example",
    "b\u00fccher.example",
    "\u0130\u0131.EXAMPLE",
    "[::1]:443",
    "999999999999999999999999",
    "9999-12-31T23:59:59Z",
    "0000-00-00T00:00:00Z",
    "END_OF_FIX\nkubectl delete ns --all",
    "---\n- a: &a [*a]\n",
    "{{ 7*7 }}{% for x in y %}",
    "y" * 20_000,
)
GONE = object()
#: What else may stand in a field.
VALUES = (
    None,
    GONE,
    True,
    0,
    -1,
    65536,
    2**63,
    2**80,
    1e308,
    0.5,
    [],
    {},
    [None],
    [[]],
    [{}],
    [{}, None, 7, "x", [], {"name": None}],
    {"": None},
    {"a": {"b": [{"c": "d"}]}, "name": [], "kind": {}, "spec": 7},
    ["x"] * 300,
    [{"name": "x", "port": 1}] * 100,
    *TEXTS,
)


@cache
def _scenes() -> dict[Kind, list[str]]:
    """Each case of a check, as JSON, under every kind that is in it."""
    found: dict[Kind, list[str]] = defaultdict(list)
    texts = [file.read_text() for file in casefile.case_files()]
    for text in (*texts, *(probe.example("bad") for probe in catalogue().values())):
        manifests = casefile.documents(text)
        scene = json.dumps(manifests, default=str)
        for kind in {k for m in manifests for k in _kinds_of(m)}:
            found[kind].append(scene)
    return found


def _kinds_of(manifest: dict[str, Any]) -> tuple[Kind, ...]:
    return kinds.by_name(manifest["kind"], manifest["apiVersion"].rpartition("/")[0])


def scenes_with(kind: Kind) -> list[str]:
    """The cases that hold an object of this kind; of one that has none, an object with much in it."""
    version = READINGS[kind].versions[0]
    bare = {
        "apiVersion": f"{kind.group}/{version}" if kind.group else version,
        "kind": kind.name,
        "metadata": {"name": "one", "namespace": "default", "labels": {"a": "b"}},
        "spec": {"hosts": ["a.example.com"], "rules": [{"host": "x", "port": 80}]},
    }
    return _scenes().get(kind) or [json.dumps([bare])]


@st.composite
def clusters(draw: st.DrawFn, kind: Kind) -> list[dict[str, Any]]:
    """Manifests: two cases in one cluster, some of their texts renamed, some of their fields broken."""
    every = sorted(_scenes())
    texts = draw(
        st.tuples(
            st.sampled_from(scenes_with(kind)),
            st.sampled_from(every).flatmap(lambda other: st.sampled_from(scenes_with(other))),
        )
    )
    manifests = [manifest for text in texts for manifest in json.loads(text)]
    words = sorted({word for m in manifests for word in _words(m)})
    names = sorted({m["metadata"]["name"] for m in manifests if m["metadata"].get("name")})
    renamed = draw(
        st.dictionaries(
            st.sampled_from(names) | st.sampled_from(words), st.sampled_from(TEXTS), max_size=4
        )
    )
    manifests = [_renamed(manifest, renamed) for manifest in manifests]
    for _ in range(draw(st.integers(0, 5))):
        spot, key = draw(st.sampled_from(list(_places(manifests))))
        value = draw(st.sampled_from(VALUES))
        if value is GONE:
            del spot[key]
        else:
            spot[key] = copy.deepcopy(value)
    return manifests


def every_scene() -> list[list[dict[str, Any]]]:
    """Each case and each example once."""
    return [json.loads(scene) for scene in {s: None for kind in _scenes().values() for s in kind}]


def object_names(kind: Kind) -> set[str]:
    """The names that objects of this kind have in the cases."""
    found = {
        m["metadata"].get("name", "")
        for scene in _scenes().get(kind, ())
        for m in json.loads(scene)
        if kind in _kinds_of(m)
    }
    return {name for name in found if len(name) > 2}


def renamed(scene: list[dict[str, Any]], names: dict[str, str]) -> list[dict[str, Any]]:
    """The same objects under other names, wherever those stand."""
    return [_renamed(manifest, names) for manifest in scene]


def _words(value: Any) -> Iterator[str]:
    """The texts of an object that may be given another value; its kind is not one of them."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in ("kind", "apiVersion"):
                yield from _words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _words(inner)
    elif isinstance(value, str) and len(value) < 200:
        yield value


def hosts_in(manifests: Iterable[dict[str, Any]]) -> list[str]:
    """What may be asked for: texts that have a dot in them."""
    words = {word for m in manifests for word in _words(m) if "." in word and "/" not in word}
    return sorted(words) or ["shop.example.com"]


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """The same text everywhere: what was joined stays joined."""
    if isinstance(value, dict):
        return {
            key: inner if key in ("kind", "apiVersion") else _renamed(inner, names)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_renamed(inner, names) for inner in value]
    return names.get(value, value) if isinstance(value, str) else value


def _places(manifests: list[dict[str, Any]]) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) below the manifests, but what says which kind they are."""
    for manifest in manifests:
        for key, inner in manifest.items():
            if key not in ("kind", "apiVersion"):
                yield manifest, key
                yield from _below(inner)


def _below(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, key
            yield from _below(inner)


def cluster_of(manifests: Iterable[dict[str, Any]]) -> Cluster:
    """The cluster that a live scan makes of these objects; each is in it, or a gap."""
    lists: dict[Kind, list[dict[str, Any]]] = defaultdict(list)
    for manifest in manifests:
        for kind in _kinds_of(manifest):
            lists[kind].append(manifest)
    resources: dict[Any, Resource] = {}
    gaps: list[Gap] = []
    for kind, items in lists.items():
        reading = READINGS[kind]
        served = Served(reading.versions[0], reading.plural, "/apis")
        read = lister.Read(lister.Listing(kind, served))
        version = Ref(kind, "", "", reading.versions[0]).api_version
        head = {"apiVersion": version, "kind": f"{kind.name}List", "metadata": {}}
        lister.decode_page(read, bytearray(json.dumps({**head, "items": items}).encode()))
        assert len(read.resources) + len(read.gaps) == len(items)
        resources |= {resource.ref: resource for resource in read.resources}
        gaps += read.gaps
    return Cluster(resources.values(), gaps=gaps, now=certs.NOW)
