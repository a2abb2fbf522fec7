"""YAML is read as kubectl reads it; the oracle is the kubectl binary, where there is one."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gwdoctor.yamltext.lines import LONGEST, Lines
from gwdoctor.yamltext.reading import Document, YamlError, documents
from gwdoctor.yamltext.scalars import resolved
from gwdoctor.yamltext.writing import dump

needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl here")


def values(text: str) -> list[Any]:
    found = []
    for document in documents(text):
        assert isinstance(document, Document), document
        found.append(document.value)
    return found


def errors(text: str) -> list[tuple[int, str]]:
    return [(e.line, str(e)) for e in documents(text) if isinstance(e, YamlError)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("Y", True),
        ("on", True),
        ("No", False),
        ("n", False),
        ("off", False),
        ("true", True),
        ("tRue", "tRue"),
        ("~", None),
        ("", None),
        ("null", None),
        ("12:30:45", "12:30:45"),
        ("1:20", "1:20"),
        ("2026-11-21", "2026-11-21"),
        ("2026-11-21T12:00:00Z", "2026-11-21T12:00:00Z"),
        ("0777", 511),
        ("0o14", 12),
        ("0x1F", 31),
        ("-0b11", -3),
        ("0b-1", -1),
        ("089", 89),
        ("1_000", 1000),
        ("1.0", 1),
        ("1e3", 1000),
        ("1.5e+3", 1500),
        (".5", 0.5),
        (".5_0", 0.5),
        (".0e_0", ".0e_0"),
        ("-.5_0", -0.5),
        ("+5", 5),
        ("-", "-"),
        ("0x", "0x"),
        ("=", "="),
        ("1e400", "1e400"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_plain_scalars(text: str, value: Any) -> None:
    found = resolved(text)

    assert found == value
    assert type(found) is type(value)


def test_an_integer_and_its_quotes() -> None:
    assert values("a: '80'\nb: 80\nc: \"yes\"\n80: d\nyes: e\n1.5: f\n") == [
        {"a": "80", "b": 80, "c": "yes", "80": "d", "true": "e", "1.5": "f"}
    ]


def test_a_key_that_stands_twice_is_named_with_its_line() -> None:
    assert errors("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n") == [
        (5, "the key 'c' stands twice in one mapping")
    ]


def test_a_broken_document_does_not_hide_the_next() -> None:
    found = list(documents("a: 1\n---\nb: [\n---\nc: 3\n"))

    assert [d.value if isinstance(d, Document) else d.line for d in found] == [
        {"a": 1},
        3,
        {"c": 3},
    ]


def test_directives_belong_to_the_document_behind_them() -> None:
    assert values("%YAML 1.1\n---\na: 1\n...\n---\n# nothing\n---\nb: 2\n") == [
        {"a": 1},
        None,
        {"b": 2},
    ]


def test_the_tags_of_json_are_no_hindrance() -> None:
    assert values("a: !!map {b: !!seq [!!str 1, !!int '2', !!null '', !!bool 'yes', ! 3]}") == [
        {"a": {"b": ["1", 2, None, True, "3"]}}
    ]


def test_lines_of_the_items_of_a_list() -> None:
    (document,) = documents("# head\nitems:\n- a: 1\n\n- b: 2\n")

    assert isinstance(document, Document)
    assert [document.line_of(item) for item in document.value["items"]] == [3, 5]


def test_anchors_and_merge_keys() -> None:
    text = "p: &x {a: 1, b: 2}\nq: {<<: *x, b: 3}\nr: {b: 3, <<: *x}\ns: {<<: [*x, {c: 4, a: 5}]}\n"

    (value,) = values(text)

    assert value["q"] == {"a": 1, "b": 3}
    assert value["r"] == {"b": 2, "a": 1}  # as kubectl: what stands later wins
    assert value["s"] == {"a": 1, "b": 2, "c": 4}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: .inf", "no number that JSON can hold"),
        ("~: a", "a key must be a string"),
        ("? [a]\n: b", "a key must be a string"),
        ("a: *b", "has no anchor"),
        ("a: !!python/object:os.system x", "cannot be read here"),
        ("a: !vault x", "cannot be read here"),
        ("a: !cert {dns: [x]}", "the tag !cert cannot be read here"),
        ("a: !!set {b, c}", "cannot be read here"),
        ("a: !those [b, c]", "the tag !those cannot be read here"),
        ("<<: 3", "a merge key (<<) needs a mapping"),
        ("[" * 300, "levels deep"),
        ("a: b\n\tc: d", "a tab character"),
        ("a: \x00", "the character U+0000"),
    ],
)
def test_what_is_refused(text: str, reason: str) -> None:
    ((_, told),) = errors(text)

    assert reason in told


def test_aliases_do_not_unfold_without_end() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )

    ((_, told),) = errors(bomb)

    assert "aliases" in told


# --- kubectl as the oracle ----------------------------------------------------------------------


def kubectl_reads(text: str, folder: Path) -> list[Any]:
    """The `data` of the ConfigMaps in this text, as kubectl has them."""
    file = folder / "config-maps.yaml"
    file.write_text(text, encoding="utf-8")
    command = ["kubectl", "annotate", "--local", "-f", str(file), "x=y", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    decoder, rest, found = json.JSONDecoder(), done.stdout, []
    while rest.strip():
        value, end = decoder.raw_decode(rest.lstrip())
        rest = rest.lstrip()[end:]
        found.append(value["data"])
    return found


HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"

_PIECES = st.sampled_from([*"0123456789abcdefxonyNYES.+-_:eE~=<T", "0x", "0o", "0b", "1e", "no"])
_SCALARS = st.lists(_PIECES, min_size=1, max_size=7).map("".join)


def _is_plain(text: str) -> bool:
    """Whether this may stand as a plain scalar, and means a number that JSON has."""
    if text in ("<<", "-", "---") or text.endswith(":") or text.startswith(("<<", ":")):
        return False
    value = resolved(text)
    return not (isinstance(value, float) and not math.isfinite(value)) and (
        not isinstance(value, int) or abs(value) < 2**53
    )


@needs_kubectl
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(scalars=st.lists(_SCALARS.filter(_is_plain), min_size=100, max_size=200, unique=True))
def test_scalars_are_read_as_kubectl_reads_them(
    scalars: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = HEAD + "data:\n" + "".join(f"  k{n}: {scalar}\n" for n, scalar in enumerate(scalars))

    (ours,) = values(text)
    (theirs,) = kubectl_reads(text, tmp_path_factory.mktemp("kubectl"))

    told = {scalar: theirs.get(f"k{n}") for n, scalar in enumerate(scalars)}
    assert {scalar: ours["data"][f"k{n}"] for n, scalar in enumerate(scalars)} == told


_TEXTS = st.one_of(
    _SCALARS, st.text(max_size=12), st.sampled_from(["y", "1e3", "0o7", "a: b", "- x", "\x1b[2J"])
)
_JSON = st.recursive(
    st.one_of(_TEXTS, st.booleans(), st.integers(-(2**50), 2**50), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(_TEXTS, inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(value=st.dictionaries(_TEXTS, _JSON, max_size=5))
def test_what_is_written_is_read_again(value: dict[str, Any]) -> None:
    text = dump(value)

    assert values(text) == [value]
    assert text.isascii()
    assert "\x1b" not in text


@pytest.mark.slow
@needs_kubectl
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.lists(st.dictionaries(_TEXTS, _JSON, min_size=1, max_size=5), min_size=20))
def test_what_is_written_is_read_by_kubectl(
    data: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    plain = [{"data": {"x": item}} for item in data]
    text = "---\n".join(HEAD + dump(item) for item in plain)

    assert kubectl_reads(text, tmp_path_factory.mktemp("kubectl")) == [p["data"] for p in plain]


# --- lines ------------------------------------------------------------------------------------

LINED = """\
# a comment
apiVersion: v1
kind: A
spec:
  ports:
  - name: x
    port: 1
  - {name: y, port: 2}
---
kind: List
items:
- kind: B
  spec:
    "a/b": [1,
      2]
- kind: C
  spec: &spec
    deep: {x: 1}
- spec:
    again: *spec
"""


@pytest.mark.parametrize(
    ("first", "path", "line"),
    [
        (2, (), 2),
        (2, ("kind",), 3),
        (2, ("spec", "ports", 0), 6),
        (2, ("spec", "ports", 0, "port"), 7),
        (2, ("spec", "ports", 1, "port"), 8),
        (2, ("spec", "ports", 9, "port"), 5),
        (2, ("metadata", "annotations", "x"), 2),
        (12, ("spec", "a/b", 1), 15),
        (16, ("spec", "deep", "x"), 18),
        (19, ("spec", "again", "deep"), 18),
        (10, ("items", 1, "kind"), 16),
        (7, ("spec",), 7),
        (99, ("spec",), 99),
    ],
)
def test_the_line_of_a_field(first: int, path: tuple[str | int, ...], line: int) -> None:
    assert Lines(LINED).of(first, path) == line


def test_a_text_that_is_broken_or_long_has_the_line_of_the_object() -> None:
    assert Lines("a: [\n").of(1, ("a",)) == 1
    assert Lines(f"b: {'x' * LONGEST}\na: 1\n").of(1, ("a",)) == 1
    assert Lines("b: x\na: 1\n").of(1, ("a",)) == 2
