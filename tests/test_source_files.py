"""Files: what is read, what is not claimed, and what is named because it cannot be used."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import casefile
import certs
import pytest

from gwdoctor import Cluster, OutOfView, kinds
from gwdoctor.gather import cluster_of
from gwdoctor.kinds import READINGS
from gwdoctor.source.files import Files

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"ports": [{"port": 80}]},
}


def read(folder: Path, text: str | bytes, name: str = "a.yaml") -> Files:
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return Files([str(file)])


def told(files: Files, folder: Path) -> list[tuple[str, str]]:
    """Place and problem of every note, without the folder."""
    return [(n.place.removeprefix(f"{folder}{os.sep}"), n.problem) for n in files.notes]


def names(files: Files) -> list[str]:
    return sorted({str(r.ref) for r in files.list(READINGS).resources})


def cluster(files: Files) -> Cluster:
    return cluster_of(files.list(READINGS), frozenset(READINGS))


# --- what is read -----------------------------------------------------------------------------


def test_several_documents_lists_and_kinds_that_no_check_reads(tmp_path: Path) -> None:
    text = """
    apiVersion: v1
    kind: Service
    metadata: {name: a, namespace: x}
    ---
    # nothing here
    ---
    apiVersion: v1
    kind: List
    items:
    - {apiVersion: v1, kind: Service, metadata: {name: b}}
    - {apiVersion: apps/v1, kind: Deployment, metadata: {name: c, namespace: "y"}}
    """.replace("\n    ", "\n")

    files = read(tmp_path, text)

    assert names(files) == ["Service default/b", "Service x/a"]
    assert files.objects == 3
    assert not files.notes
    assert files.list(READINGS).namespaces == frozenset({"x", "y", "default"})


def test_the_list_of_a_raw_request_lends_its_items_their_kind(tmp_path: Path) -> None:
    item = {key: value for key, value in SERVICE.items() if key not in ("apiVersion", "kind")}
    page = {"apiVersion": "v1", "kind": "ServiceList", "metadata": {}, "items": [item]}

    assert names(read(tmp_path, json.dumps(page))) == ["Service shop/web"]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(SERVICE),
        json.dumps(SERVICE, indent=4),
        json.dumps([SERVICE]),
        json.dumps({"apiVersion": "v1", "kind": "List", "items": [SERVICE]}),
        json.dumps(SERVICE) + "\n" + json.dumps(SERVICE | {"kind": "Foo"}) + "\n",
        "\ufeff" + json.dumps(SERVICE),
        "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}}",
        "--- {apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}}",
    ],
)
def test_every_way_to_write_json_down(tmp_path: Path, text: str) -> None:
    files = read(tmp_path, text)

    assert names(files) == ["Service shop/web"]
    assert not files.notes


def test_text_as_powershell_writes_it(tmp_path: Path) -> None:
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"

    assert names(read(tmp_path, text.encode("utf-16"))) == ["Service default/web"]


def test_json_and_yaml_give_the_same(tmp_path: Path) -> None:
    """Every case, read through both ways: bytes straight to views, and text to plain objects."""
    for number, case in enumerate(casefile.case_files()):
        plain = casefile.documents(case.read_text())
        as_json = read(tmp_path, json.dumps({"kind": "List", "items": plain}), f"{number}.json")
        lines = "".join("---\n" + json.dumps(document) + "\n" for document in plain)
        as_yaml = read(tmp_path, lines, f"{number}.yaml")
        ours = {r.ref: r.value for r in as_json.list(READINGS).resources}
        assert ours == {r.ref: r.value for r in as_yaml.list(READINGS).resources}, case
        assert ours == {r.ref: r.value for r in casefile.resources_of(plain)}, case


def test_folders_are_searched_and_hidden_ones_passed_over(tmp_path: Path) -> None:
    for name in ("b.yml", "deep/er/a.yaml", "c.json", ".git/x.yaml", ".hidden.yaml", "notes.txt"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(SERVICE | {"metadata": {"name": Path(name).stem}}))

    files = Files([str(tmp_path)])

    assert names(files) == ["Service default/a", "Service default/b", "Service default/c"]
    assert not files.notes


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(json.dumps(SERVICE).encode())

    monkeypatch.setattr("sys.stdin", Stdin)

    assert names(Files(["-"])) == ["Service shop/web"]


def test_the_default_namespace_is_for_those_that_name_none(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps([SERVICE, SERVICE | {"metadata": {"name": "b"}}]))

    assert names(Files([str(file)], default_namespace="n")) == ["Service n/b", "Service shop/web"]


def test_no_byte_of_a_private_key_is_kept(tmp_path: Path) -> None:
    data = certs.secret_data(certs.NOW, dns=["a.example.com"])
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": "tls", "namespace": "shop"},
        "data": data,
    }

    for text in (json.dumps(secret), json.dumps({"kind": "List", "items": [secret]})):
        (resource,) = read(tmp_path, text, "a.json").list({kinds.SECRET}).resources

        assert resource.value.key == "matches"
        assert data["tls.key"][40:80] not in repr(resource.value)


# --- three answers ----------------------------------------------------------------------------


def test_a_kind_of_which_there_is_none_is_not_claimed_to_be_absent(tmp_path: Path) -> None:
    picture = cluster(read(tmp_path, json.dumps(SERVICE)))

    with pytest.raises(OutOfView, match="no Secret is among the files"):
        picture.get(kinds.SECRET, "shop", "tls")
    assert not [gap for gap in picture.gaps if gap.claimed]


def test_of_a_kind_that_is_there_the_rest_is_absent(tmp_path: Path) -> None:
    picture = cluster(read(tmp_path, json.dumps(SERVICE)))

    assert picture.get(kinds.SERVICE, "shop", "other") is None


def test_nothing_is_said_about_a_namespace_that_is_not_among_the_files(tmp_path: Path) -> None:
    picture = cluster(read(tmp_path, json.dumps(SERVICE)))

    with pytest.raises(OutOfView, match="this namespace was not read"):
        picture.get(kinds.SERVICE, "elsewhere", "other")
    with pytest.raises(OutOfView):
        picture.within(kinds.PEER_AUTHENTICATION, "elsewhere")


def test_a_namespace_object_says_that_the_namespace_is_there(tmp_path: Path) -> None:
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "empty"}}

    picture = cluster(read(tmp_path, json.dumps([SERVICE, space])))

    assert picture.get(kinds.SERVICE, "empty", "other") is None


def test_of_a_policy_kind_none_means_none(tmp_path: Path) -> None:
    picture = cluster(read(tmp_path, json.dumps(SERVICE)))

    assert picture.within(kinds.PEER_AUTHENTICATION, "shop") == ()


# --- what is named ------------------------------------------------------------------------------

GOOD = "apiVersion: v1\nkind: Service\nmetadata: {name: good}\n"


@pytest.mark.parametrize(
    ("text", "place", "problem", "reason"),
    [
        ("", "a.yaml", "broken", "is empty"),
        ("# nothing\n---\n", "a.yaml", "broken", "is empty"),
        (b"\x00\xff\xfe\xfa", "a.yaml", "broken", "is no text"),
        (b"\x1f\x8b\x08", "a.yaml", "broken", "--snapshot"),
        (GOOD + "---\na: [1\n", "a.yaml:5", "broken", "is not valid YAML"),
        (GOOD + "---\na: 1\na: 2\n", "a.yaml:6", "broken", "stands twice"),
        (GOOD + "---\nname: {{ .Values.x }}\n", "a.yaml:5", "broken", "helm template"),
        (GOOD + "---\nkind: Service\n", "a.yaml:5", "broken", "apiVersion is missing"),
        (GOOD + "---\napiVersion: 1\nkind: A\n", "a.yaml:5", "broken", "apiVersion is a number"),
        (GOOD + "---\n- 1\n", "a.yaml:5", "broken", "but a number"),
        (GOOD + "---\njust text\n", "a.yaml:5", "broken", "but a string"),
        (GOOD + "---\napiVersion: v1\nkind: Service\n", "a.yaml:5", "broken", "metadata"),
        (GOOD.replace("good", "no"), "a.yaml:1", "broken", "metadata.name"),
        (GOOD.replace("name: good", "labels: {}"), "a.yaml:1", "broken", "metadata.name"),
        (
            GOOD + "---\napiVersion: v1\nkind: Service\nmetadata: {name: b, labels: {tier: 1}}\n",
            "a.yaml:5",
            "broken",
            "Service b: metadata.labels",
        ),
        (
            GOOD + "---\napiVersion: kustomize.config.k8s.io/v1\nkind: Kustomization\n",
            "a.yaml:5",
            "broken",
            "kubectl kustomize",
        ),
        (GOOD + "---\n" + GOOD, "a.yaml:5", "twice", "stands also at"),
        ('{"apiVersion": "v1",\n "kind": }', "a.yaml:2", "broken", "is not valid JSON"),
        ('{"a":1}', "a.yaml:1", "broken", "apiVersion is missing"),
        ('[\n{"apiVersion":"v1","kind":"Service","metadata":[]}]', "a.yaml:1", "broken", "metad"),
        (
            '{"apiVersion":"v1","kind":"Service","metadata":{"name":"\\ud800"}}',
            "a.yaml:1",
            "broken",
            "is not valid JSON",
        ),
        ("[" * 100_000, "a.yaml:1", "broken", "nested more than"),
        ('{"apiVersion":"v1","kind":"List","items":7}', "a.yaml:1", "broken", "metadata"),
    ],
)
def test_it_is_named_with_file_and_line(
    tmp_path: Path, text: str | bytes, place: str, problem: str, reason: str
) -> None:
    files = read(tmp_path, text)

    assert told(files, tmp_path) == [(place, problem)]
    assert reason in files.notes[0].text


def test_what_is_good_beside_it_is_still_read(tmp_path: Path) -> None:
    files = read(tmp_path, f"a: [\n---\n{GOOD}---\nb: 1\n")

    assert names(files) == ["Service default/good"]
    assert told(files, tmp_path) == [("a.yaml:1", "broken"), ("a.yaml:7", "broken")]


def test_an_item_of_a_json_list_is_named_with_its_line(tmp_path: Path) -> None:
    broken = SERVICE | {"metadata": {"name": "b", "labels": {"a": 1}}}
    text = json.dumps({"kind": "List", "items": [SERVICE, broken]}, indent=1)
    line = text[: text.index('"name": "b"')].count("\n") - 3

    files = read(tmp_path, text)

    assert told(files, tmp_path) == [(f"a.yaml:{line}", "broken")]
    assert names(files) == ["Service shop/web"]


def test_the_last_of_two_counts(tmp_path: Path) -> None:
    second: dict[str, Any] = SERVICE | {"spec": {"ports": [{"port": 81}]}}

    files = read(tmp_path, json.dumps(SERVICE) + "\n" + json.dumps(second))

    (resource,) = files.list({kinds.SERVICE}).resources
    assert resource.number("spec", "ports", 0, "port") == 81
    assert told(files, tmp_path) == [("a.yaml:2", "twice")]


def test_a_pod_is_not_its_own_double(tmp_path: Path) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {}}

    files = read(tmp_path, json.dumps(pod))

    assert not files.notes
    assert {r.ref.kind for r in files.list(READINGS).resources} == {kinds.POD, kinds.POD_WHOLE}


def test_yaml_in_a_folder_that_is_no_manifest_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("replicas: 2\n")
    (tmp_path / "empty.yaml").write_text("")
    (tmp_path / "service.yaml").write_text(GOOD)

    files = Files([str(tmp_path)])

    assert told(files, tmp_path) == [("empty.yaml", "other"), ("values.yaml:1", "other")]
    assert names(files) == ["Service default/good"]


def test_files_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    paths = [tmp_path / "no.yaml", tmp_path / "empty"]

    files = Files([*map(str, paths), "https://example.com/a.yaml", "a\0b"])

    assert [note.problem for note in files.notes] == ["missing"] * 4
    assert "does not exist" in files.notes[0].text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(GOOD)
    file.chmod(0)

    assert [note.problem for note in Files([str(file)]).notes] == ["missing"]
    assert [note.problem for note in Files([str(tmp_path)]).notes] == ["broken"]
