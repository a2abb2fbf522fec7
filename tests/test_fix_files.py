"""`gwdoctor fix --files`: only the fields that change, or a word why not."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import casefile
import pytest
import yaml
from commandline import Done, Here
from test_cli_fix import CHECK, KONG

from gwdoctor import Change, Kind, Ref
from gwdoctor.catalogue import catalogue
from gwdoctor.engine import scan
from gwdoctor.source.editing import Editor, NotPlaced
from gwdoctor.yamltext import reading

SERVICE = Ref(Kind("Service"), "s3", "minio", "v1")
LAYOUT = """\
# header
apiVersion: v1
kind:   Service   # odd spaces
metadata:
    name: minio    # the store

    namespace: s3
spec:
    ports:
      - {name: https,   port: 9000}  # TLS
      # the console
      - port: 9001
        name: "console"
    selector: {app: on, "mode": 0644}
    externalName: >-
        folded
        text
"""


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(capsys)


def fix(here: Here, path: Path, *more: str) -> Done:
    return here("fix", CHECK, "--files", path, *more)


def change(text: str, *steps: str | int, to: object) -> Change:
    before = next(d.value for d in reading.documents(text) if isinstance(d, reading.Document))
    before = json.loads(json.dumps(before))  # without aliases
    return Change(SERVICE, before, before).changed(*steps, to=to)


def edited(tmp_path: Path, text: str, *steps: str | int, to: object) -> str:
    """The file after one change of its only document."""
    file = tmp_path / "a.yaml"
    file.write_text(text)
    editor = Editor([str(tmp_path)])
    editor.apply([change(text, *steps, to=to)], SERVICE)
    editor.write()
    return file.read_text()


# --- what is kept -----------------------------------------------------------------------------


def test_the_field_is_written_and_the_finding_is_gone(here: Here, tmp_path: Path) -> None:
    file = tmp_path / "kong.yaml"
    file.write_text(KONG)
    file.chmod(0o640)

    done = fix(here, tmp_path)

    assert done.code == 0
    line = "    argocd.argoproj.io/tracking-id: shop:/Service:s3/minio\n"
    assert file.read_text() == KONG.replace(line, f"{line}    konghq.com/protocol: https\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert "+    konghq.com/protocol: https" in done.out
    assert f"edited {file}" in done.err
    assert sorted(os.listdir(tmp_path)) == ["kong.yaml"]
    assert here("scan", "-f", tmp_path, "--select", CHECK).code == 0


def test_diff_leaves_the_files_alone(here: Here, tmp_path: Path) -> None:
    file = tmp_path / "kong.yaml"
    file.write_text(KONG)

    done = fix(here, tmp_path, "--diff")

    assert "+    konghq.com/protocol: https" in done.out
    assert file.read_text() == KONG


@pytest.mark.parametrize(
    ("steps", "to", "old", "new"),
    [
        (("spec", "ports", 1, "port"), 9002, "- port: 9001", "- port: 9002"),
        (("spec", "ports", 1, "name"), "admin", '"console"', '"admin"'),
        (("spec", "type"), "on", "        text\n", "        text\n    type: 'on'\n"),
        (("metadata", "namespace"), None, "    namespace: s3\n", ""),
    ],
    ids=lambda value: str(value),
)
def test_every_other_line_stays_as_it_is(
    tmp_path: Path, steps: tuple[str | int, ...], to: object, old: str, new: str
) -> None:
    assert edited(tmp_path, LAYOUT, *steps, to=to) == LAYOUT.replace(old, new)


def test_an_item_is_added_to_a_list_in_its_layout(tmp_path: Path) -> None:
    text = LAYOUT.replace('        name: "console"\n', "")
    ports = change(text, "x", to=1).before["spec"]["ports"]  # type: ignore[index]

    after = edited(tmp_path, text, "spec", "ports", to=[*ports, {"port": 80}])

    assert yaml.safe_load(after)["spec"]["ports"][-1] == {"port": 80}
    kept = [line for line in text.splitlines() if line not in after.splitlines()]
    assert not kept


def test_line_ends_of_windows_stay(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(LAYOUT.replace("\n", "\r\n").encode())
    editor = Editor([str(file)])
    editor.apply([change(LAYOUT, "spec", "ports", 0, "port", to=1)], SERVICE)

    editor.write()

    wanted = LAYOUT.replace("port: 9000", "port: 1").replace("https,   ", "https, ")
    assert b"\r\n" in file.read_bytes()
    assert b"\n" not in file.read_bytes().replace(b"\r\n", b"")
    assert file.read_bytes().replace(b"\r\n", b"\n").decode().split() == wanted.split()


def test_a_new_object_stands_behind_the_one_it_belongs_to_and_a_deleted_one_is_gone(
    tmp_path: Path,
) -> None:
    file = tmp_path / "kong.yaml"
    file.write_text(KONG)
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "s3"}}
    ingress = Ref(Kind("Ingress", "networking.k8s.io"), "s3", "s3", "v1")
    editor = Editor([str(file)])

    editor.apply([Change.created(made), Change(ingress, {}, None)], SERVICE)
    editor.write()

    kinds = [document["kind"] for document in yaml.safe_load_all(file.read_text())]
    assert kinds == ["Service", "ConfigMap"]


def test_every_fix_of_the_catalogue_has_a_place_in_its_example(tmp_path: Path) -> None:
    """The example, edited, means what the change says; or the editor said why it did not."""
    placed, refused = 0, []
    for probe in catalogue().values():
        text = probe.example("bad")
        if "!cert" in text or "!time" in text:
            continue
        for finding in scan(casefile.cluster_of(casefile.documents(text)), [probe]).findings:
            if not finding.fix or not finding.fix.changes:
                continue
            file = tmp_path / "example.yaml"
            file.write_text(text)
            editor = Editor([str(file)])
            try:
                editor.apply(finding.fix.changes, finding.field.ref)
            except NotPlaced as refusal:
                refused.append(f"{probe.id()}: {refusal}")
                continue
            editor.write()
            placed += 1
            after = casefile.cluster_of(casefile.documents(file.read_text()))
            left = {one.id for one in scan(after, [probe]).findings}
            assert finding.id not in left, probe.id()

    assert placed > 50
    assert not [text for text in refused if "alone in" not in text and "comment" not in text]


# --- what is refused --------------------------------------------------------------------------

_PATCH = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [kong.yaml]
patches:
- target: {kind: Service, name: minio}
  patch: '[{"op": "remove", "path": "/metadata/annotations"}]'
"""


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"kong.yaml": KONG, "kustomization.yaml": _PATCH}, "is patched by"),
        (
            {
                "kong.yaml": KONG,
                "kustomization.yaml": "kind: Kustomization\npatches: [{path: kong.yaml}]\n",
            },
            "is a patch of",
        ),
        ({"kong.yaml": KONG, "other.yaml": KONG.partition("---")[0]}, "is defined 2 times"),
        ({"kong.yaml": KONG.replace("# TLS", "# {{ .Values.x }}")}, "its file is a template"),
        (
            {
                "kong.yaml": "apiVersion: v1\nkind: List\nitems:\n"
                + "".join(
                    "- " + part.strip().replace("\n", "\n  ") + "\n"
                    for part in KONG.replace("# the store\n", "").split("---")
                )
            },
            "it stands in a List",
        ),
    ],
    ids=["overlay", "patch", "twice", "template", "list"],
)
def test_what_has_no_certain_place_is_said_and_left(
    here: Here, tmp_path: Path, files: dict[str, str], said: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    done = fix(here, tmp_path)

    assert said in done.err
    assert done.code == 1
    assert not done.out
    assert {name: (tmp_path / name).read_text() for name in files} == files


def test_json_is_refused(here: Here, tmp_path: Path) -> None:
    items = list(yaml.safe_load_all(KONG))
    (tmp_path / "a.json").write_text("\n".join(map(json.dumps, items)))

    assert "it is JSON" in fix(here, tmp_path).err


def test_an_alias_is_not_edited(tmp_path: Path) -> None:
    text = """\
apiVersion: v1
kind: Service
metadata: {name: minio, namespace: s3, labels: &a {x: one}, annotations: *a}
"""
    with pytest.raises(NotPlaced, match="alias"):
        edited(tmp_path, text, "metadata", "labels", "x", to="two")

    assert (tmp_path / "a.yaml").read_text() == text


def test_a_comment_is_not_lost(tmp_path: Path) -> None:
    ports = change(LAYOUT, "x", to=1).before["spec"]["ports"]  # type: ignore[index]
    with pytest.raises(NotPlaced, match="the comment '# the console' would be lost"):
        edited(tmp_path, LAYOUT, "spec", "ports", to=ports[:0])


def test_all_changes_of_a_fix_or_none(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(LAYOUT)
    editor = Editor([str(file)])
    good = change(LAYOUT, "spec", "type", to="ClusterIP")
    bad = Change(Ref(Kind("Service"), "s3", "missing", "v1"), {}, {"x": 1})

    with pytest.raises(NotPlaced, match="in none of the files"):
        editor.apply([good, bad], SERVICE)

    assert editor.diff() == ""


def test_the_second_fix_of_a_field_is_refused_and_the_first_stays(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(LAYOUT)
    editor = Editor([str(file)])
    editor.apply([change(LAYOUT, "metadata", "namespace", to="s4")], SERVICE)

    with pytest.raises(NotPlaced, match=r"in none|not what was scanned"):
        editor.apply([change(LAYOUT, "metadata", "namespace", to="s5")], SERVICE)


def test_a_file_that_somebody_else_wrote_meanwhile_is_left(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(LAYOUT)
    editor = Editor([str(file)])
    editor.apply([change(LAYOUT, "spec", "type", to="ClusterIP")], SERVICE)
    file.write_text(LAYOUT + "# more\n")

    with pytest.raises(NotPlaced, match="has changed"):
        editor.write()

    assert file.read_text() == LAYOUT + "# more\n"


def test_a_folder_that_is_not_there(here: Here, tmp_path: Path) -> None:
    (tmp_path / "kong.yaml").write_text(KONG)

    done = here("fix", CHECK, "-f", tmp_path, "--files", tmp_path / "no")

    assert done.code == 2
    assert "does not exist" in done.err
