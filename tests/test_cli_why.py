"""`gwdoctor why` as one types it: exit codes, both forms, terminals, hostile clusters, mistakes."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import certs
import pytest
import reports
import scenes
from commandline import Done, Here, program
from test_cli_process import COLOR, on_a_terminal

from gwdoctor.walk import walks

NOW = ("--now", "2026-11-21T12:00:00Z")
MINIO = "https://api.minio.example.com/bucket"


def scene(folder: Path, document: str, state: str) -> Path:
    """A scene as a file of JSON."""
    (name,) = (each for each in scenes.DOCUMENTS if each.startswith(document))
    items = scenes.manifests(name, state, certs.NOW)
    file = folder / f"{document}.{state}.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return file


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(capsys)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    return scene(tmp_path, "000", "broken")


@pytest.fixture
def healthy(tmp_path: Path) -> Path:
    return scene(tmp_path, "000", "healthy")


def test_a_broken_hop_is_exit_1_with_its_finding_and_what_would_follow(
    here: Here, broken: Path
) -> None:
    done = here("why", MINIO, "-f", broken, *NOW)

    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[1] == "Broken: protocol (Service minio/minio)."
    assert lines[3] == f"GET {MINIO}"
    at = next(i for i, line in enumerate(lines) if line.startswith("  broken   protocol"))
    assert "kong/upstream-protocol-missing-" in done.out
    assert lines.index("  it would go on:") > at
    assert "1 of 1 ready" in done.out
    assert lines[-1].startswith("exit 1: ")
    assert not COLOR.search(done.out)


def test_a_healthy_way_is_exit_0(here: Here, healthy: Path) -> None:
    done = here("why", MINIO, "-f", healthy, *NOW)

    assert (done.code, done.err) == (0, "")
    assert "  broken" not in done.out
    assert done.out.endswith("exit 0: nothing is broken on the way\n")


def test_what_nothing_takes_says_what_comes_near(here: Here, healthy: Path) -> None:
    """Files hold some namespaces only: the route may be in another."""
    done = here("why", "https://apis.minio.example.com/", "-f", healthy, *NOW)

    assert done.code == 3
    assert "Nothing that was seen takes this request." in done.out
    assert "has api.minio.example.com" in done.out


def test_what_was_not_seen_is_exit_3(here: Here, tmp_path: Path) -> None:
    file = scene(tmp_path, "000", "healthy")
    whole = json.loads(file.read_text())
    whole["items"] = [item for item in whole["items"] if item["kind"] != "EndpointSlice"]
    file.write_text(json.dumps(whole))

    done = here("why", MINIO, "-f", file, *NOW)

    assert done.code == 3
    assert "unseen   endpoints" in done.out


def test_no_cluster_is_exit_4(here: Here, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))

    assert here("why", "shop.example.com").code == 4


def document(done: Done) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_json_holds_every_hop_as_data(here: Here, broken: Path) -> None:
    done = here("why", MINIO, "-f", broken, "-o", "json", *NOW)

    found = document(done)
    assert done.code == 1
    assert list(found) == [
        "version",
        "tool",
        "target",
        "request",
        "state",
        "answered",
        "steps",
        "findings",
        "not_checked",
    ]
    assert (found["version"], found["state"], found["answered"]) == (1, "broken", True)
    assert found["request"]["url"] == MINIO
    (step,) = found["steps"]
    (way,) = step["ways"]
    assert [hop["hop"] for hop in way["hops"]] == ["gateway", "listener", "certificate", "route"]
    (branch,) = way["backends"]
    assert (branch["weight"], branch["percent"]) == (1, 100.0)
    protocol = next(hop for hop in branch["hops"] if hop["hop"] == "protocol")
    assert list(protocol) == [
        "hop",
        "state",
        "says",
        "object",
        "path",
        "after_break",
        "unverified",
        "rbac",
        "findings",
    ]
    assert protocol["object"] == {
        "apiVersion": "v1",
        "kind": "Service",
        "namespace": "minio",
        "name": "minio",
    }
    ids = {finding["id"] for finding in found["findings"]}
    assert set(protocol["findings"]) <= ids
    assert [hop["after_break"] for hop in branch["hops"]][-1]


def test_the_same_input_gives_the_same_bytes(here: Here, broken: Path) -> None:
    arguments = ("why", MINIO, "-f", broken, "-o", "json", *NOW)

    assert here(*arguments).out == here(*arguments).out


def test_a_redirect_is_a_further_step(here: Here, tmp_path: Path) -> None:
    file = scene(tmp_path, "003", "healthy")

    done = here("why", "http://api.edge.example.com/api/1", "-f", file, "-o", "json", *NOW)

    first, second = document(done)["steps"]
    assert first["ways"][0]["redirect"] == {
        "status": 301,
        "location": "https://api.edge.example.com/api/1",
        "step": 1,
        "loops": False,
    }
    assert second["request"]["url"] == "https://api.edge.example.com/api/1"


def test_method_headers_sni_and_port_are_asked_with(here: Here, healthy: Path) -> None:
    done = here(
        *("why", "https://203.0.113.7/x?token=1", "-X", "POST", "--port", "8443", "-f", healthy),
        *("-H", "Host: api.minio.example.com", "-H", "Authorization: Bearer abc"),
        *("--sni", "console.minio.example.com", "-o", "json", *NOW),
    )

    asked = document(done)["request"]
    assert (asked["method"], asked["host"], asked["port"]) == (
        "POST",
        "api.minio.example.com",
        8443,
    )
    assert (asked["sni"], asked["address"]) == ("console.minio.example.com", "203.0.113.7")
    assert "Bearer" not in done.out


def test_checks_can_be_chosen(here: Here, broken: Path) -> None:
    done = here("why", MINIO, "-f", broken, "--select", "tls", "-o", "json", *NOW)

    assert document(done)["findings"] == []
    assert document(done)["state"] == "degraded"  # what the walk sees by itself


def test_a_terminal_gets_colours_and_80_columns(broken: Path) -> None:
    seen = on_a_terminal("why", MINIO, "-f", broken, *NOW)

    assert "\x1b[1;31mbroken" in seen
    assert max(len(COLOR.sub("", line)) for line in seen.splitlines()) <= 80


def test_a_pipe_gets_whole_lines(broken: Path) -> None:
    done = program("why", MINIO, "-f", broken, *NOW, environment={"COLUMNS": "40"})

    line = next(line for line in done.out.splitlines() if line.startswith("  broken   protocol"))
    assert line.endswith("port name https-minio")


def test_hostile_names_cannot_write_to_the_terminal(here: Here, tmp_path: Path) -> None:
    evil = "\x1b[2J\u202e[bold]\nx" + "a" * 300
    assert any("\x1b" in str(finding.message) for finding in reports.hostile().findings)
    items = [
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": {"name": evil, "namespace": "shop"},
            "spec": {
                "gatewayClassName": evil,
                "listeners": [{"name": evil, "port": 80, "protocol": "HTTP"}],
            },
        },
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": evil, "namespace": "shop"},
            "spec": {
                "parentRefs": [{"name": evil}],
                "hostnames": ["shop.example.com"],
                "rules": [
                    {
                        "matches": [
                            {"path": {"type": "RegularExpression", "value": "/" + "(a+)+" * 9}},
                            {"path": {"value": "/"}, "headers": []},
                        ],
                        "filters": [{"type": evil}],
                        "backendRefs": [{"name": evil, "port": 80}],
                    }
                ],
            },
        },
    ]
    file = tmp_path / "evil.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

    done = here("why", "http://shop.example.com/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", "-f", file)
    machine = here("why", "http://shop.example.com/", "-f", file, "-o", "json")

    assert done.code == 3
    for text in (done.out, done.err, machine.out):
        odd = [c for c in text if unicodedata.category(c) in ("Cc", "Cf") and c != "\n"]
        assert not odd
    assert r"\x1b[2J" in done.out


BROKEN_SHAPES: list[Any] = [None, 7, "text", [], {}, [None], [7], {"x": 1}, [{"name": 5}], True]


@pytest.mark.parametrize("shape", BROKEN_SHAPES, ids=repr)
@pytest.mark.parametrize("document", ["000", "002", "003", "004"])
def test_broken_shapes_are_walked_without_a_fall(document: str, shape: Any) -> None:
    """Whatever stands in a spec: no field of the wrong type ends in a traceback."""
    import casefile

    from gwdoctor.walk import request

    urls = {
        "000": MINIO,
        "002": "https://drawdb.jiaxiu.example.com/",
        "003": "http://api.edge.example.com/api/1",
        "004": "https://pay.example.com/",
    }
    (name,) = (each for each in scenes.DOCUMENTS if each.startswith(document))
    manifests = scenes.manifests(name, "healthy", certs.NOW)
    for number, manifest in enumerate(manifests):
        spec = manifest.get("spec")
        if manifest["kind"] in ("Pod", "EndpointSlice") or not isinstance(spec, dict):
            continue
        for key in spec:
            damaged = [*manifests]
            damaged[number] = {**manifest, "spec": {**spec, key: shape}}
            walks.walk(request.asked(urls[document]), casefile.cluster_of(damaged))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a URL or host"),
        (("ftp://shop.example.com",), "no scheme to walk"),
        (("https://shop example.com",), "space"),
        (("https://*.example.com",), "pattern"),
        (("https://shop.example.com:0",), "no port"),
        (("shop.example.com", "-H", "nonsense"), "no header"),
        (("shop.example.com", "-X", "G T"), "no method"),
        (("shop.example.com", "--port", "many"), "many"),
        (("shop.example.com", "-o", "yaml"), "none of text, json"),
        (("shop.example.com", "-l", "app=x"), "-l"),
        (("shop.example.com", "--select", "kng"), "Did you mean 'kong'?"),
        (("shop.example.com", "--symptom", "x"), "instead of a URL"),
        (("--symptom", "  "), "empty"),
        (("shop.example.com", "--min-severity", "bad"), "is none of"),
    ],
)
def test_a_mistake_of_the_user(here: Here, arguments: tuple[str, ...], said: str) -> None:
    done = here("why", *arguments)

    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err
    assert not done.out


def test_a_file_that_is_not_there_is_a_mistake(here: Here) -> None:
    done = here("why", "shop.example.com", "-f", "no.yaml")

    assert done.code == 2
    assert "no.yaml" in done.err
    assert "exit 2: " in done.out


# --- symptoms -----------------------------------------------------------------------------------

SYMPTOM = "readv() failed (104: Connection reset by peer) while reading upstream"


def test_a_symptom_lists_its_checks_and_runs_only_them(here: Here, broken: Path) -> None:
    done = here("why", "--symptom", SYMPTOM, "-f", broken, "-o", "json", *NOW)

    found = document(done)
    assert done.code == 1
    listed = [one["check"] for one in found["checks"]]
    assert "kong/upstream-protocol-missing" in listed[:3]
    assert {finding["check"] for finding in found["findings"]} == {"kong/upstream-protocol-missing"}
    assert found["ran"]
    assert found["nearest"] == []


def test_a_symptom_as_text_tells_the_checks_then_what_they_find(here: Here, broken: Path) -> None:
    done = here("why", "--symptom", SYMPTOM, "-f", broken, *NOW)

    listed, _, report = done.out.partition("\n\n")
    assert listed.startswith("Checks whose symptom it is, best first:")
    assert "kong/upstream-protocol-missing" in listed
    assert "critical  kong/upstream-protocol-missing-" in report


def test_a_symptom_without_findings_is_exit_0(here: Here, healthy: Path) -> None:
    assert here("why", "--symptom", SYMPTOM, "-f", healthy, *NOW).code == 0


def test_an_unknown_symptom_lists_the_nearest(here: Here, healthy: Path) -> None:
    near = here("why", "--symptom", "the certificate did expire", "-f", healthy)
    none = here("why", "--symptom", "the quick brown fox", "-f", healthy)

    assert (near.code, none.code) == (3, 3)
    assert "These come nearest" in near.out
    assert "tls/certificate-expired" in near.out
    assert "No check knows this symptom" in none.out


def test_a_symptom_comes_from_standard_input(broken: Path) -> None:
    done = program("why", "--symptom", "-", "-f", broken, *NOW, input=SYMPTOM.encode())

    assert done.code == 1
    assert "kong/upstream-protocol-missing" in done.out


def test_without_a_cluster_the_checks_are_listed_all_the_same(
    here: Here, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))

    listed = here("why", "--symptom", SYMPTOM)
    named = here("why", "--symptom", SYMPTOM, "--context", "prod")

    assert (listed.code, named.code) == (0, 4)
    assert "kong/upstream-protocol-missing" in listed.out
    assert "not run" in listed.err
