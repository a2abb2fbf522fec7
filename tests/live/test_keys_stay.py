"""Keys that lie in a cluster are in nothing that gwdoctor writes or keeps: no format, no snapshot, no
complaint, no object in memory."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certs
import pytest
from commandline import program
from testbed import Cluster, ControlPlane, FaultProxy

from gwdoctor.render.fixes import FORMATS as FIXES
from gwdoctor.render.formats import FORMATS

NAMES = ("keys-ec", "rsa2048-keys", "keys-in-place-of-a-certificate", "keys-in-a-config-map")


def traces(key: bytes) -> list[bytes]:
    """Pieces of a key as they could turn up: of its PEM, of the base64 of that, of the number."""
    lines = key.splitlines()[1:-1]
    raw = base64.b64decode(b"".join(lines))
    return [lines[1][5:40], base64.b64encode(key)[120:160], raw[45:70], raw[45:70].hex().encode()]


def value(data: bytes) -> str:
    return base64.b64encode(data).decode()


def secret(name: str, kind: str, data: dict[str, bytes], namespace: str) -> dict[str, Any]:
    encoded = {key: value(content) for key, content in data.items()}
    copied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"data": encoded})}
    metadata = {"name": name, "namespace": namespace, "annotations": copied}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": metadata,
        "data": encoded,
    }


@pytest.fixture
def planted(cluster: Cluster, namespace: str) -> str:
    """A namespace with keys wherever people put them, and Gateways that point to all of them."""
    leaf = certs.certificate_pem(dns=["shop.example.com"], key=NAMES[0])
    keys = [certs.key_pem(name) for name in NAMES]
    objects = [
        secret("good", "kubernetes.io/tls", {"tls.crt": leaf, "tls.key": keys[0]}, namespace),
        secret("other", "kubernetes.io/tls", {"tls.crt": leaf, "tls.key": keys[1]}, namespace),
        secret("swapped", "kubernetes.io/tls", {"tls.crt": keys[2], "tls.key": keys[2]}, namespace),
        secret("opaque", "Opaque", {"cert": leaf + keys[0], "key": keys[1]}, namespace),
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "authority", "namespace": namespace},
            "data": {"ca.crt": (leaf + keys[3]).decode()},
        },
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "BackendTLSPolicy",
            "metadata": {"name": "backend", "namespace": namespace},
            "spec": {
                "targetRefs": [{"group": "", "kind": "Service", "name": "web"}],
                "validation": {
                    "hostname": "shop.example.com",
                    "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "authority"}],
                },
            },
        },
        {
            "apiVersion": "networking.istio.io/v1alpha3",
            "kind": "EnvoyFilter",
            "metadata": {
                "name": "inline",
                "namespace": namespace,
                "annotations": {"a.example.com/b": keys[1].decode(), "b": value(keys[2])},
            },
            "spec": {
                "configPatches": [
                    {
                        "applyTo": "CLUSTER",
                        "patch": {
                            "operation": "MERGE",
                            "value": {
                                "private_key": {"inline_bytes": value(keys[0])},
                                "filename": keys[3].decode(),
                            },
                        },
                    }
                ]
            },
        },
        *(gateway(name, namespace) for name in ("good", "other", "swapped", "opaque")),
    ]
    cluster.apply(objects)
    return namespace


def gateway(name: str, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "gatewayClassName": "eg",
            "listeners": [
                {
                    "name": "https",
                    "port": 443,
                    "protocol": "HTTPS",
                    "hostname": f"{name}.example.com",
                    "tls": {"certificateRefs": [{"name": name}]},
                }
            ],
        },
    }


def written(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(folder.iterdir()):
        yield file.name, file.read_bytes()


def assert_clean(name: str, content: bytes) -> None:
    for key in NAMES:
        for trace in traces(certs.key_pem(key)):
            assert trace not in content, f"{name} holds a piece of the key {key}"


def test_no_output_holds_a_key(cluster: Cluster, planted: str, tmp_path: Path) -> None:
    out, snapshots = tmp_path / "out", tmp_path / "snapshot.json"
    kept = tmp_path / "kept"
    out.mkdir()
    kept.mkdir()
    places = ("--report-to", f"file={kept}/report", "--report-to", f"termination={kept}/log")
    kubeconfig = ("--kubeconfig", cluster.kubeconfig, "-n", planted)
    files = [argument for name in FORMATS for argument in ("-o", f"{name}={out / name}")]
    saved = program("snapshot", "-o", snapshots, *kubeconfig)
    runs = [
        program("scan", *kubeconfig, *files, *places, "-v", "9", "--timings"),
        saved,
        program("scan", "--snapshot", snapshots, "-o", "json"),
        program("scan", *kubeconfig, "-o", "wide", "-v", "9"),
        program("fix", "--all", "--include-review", *kubeconfig),
        program("fix", "--all", "--include-review", "--diff", *kubeconfig),
        *(program("fix", "--all", "--include-review", "-o", f, *kubeconfig) for f in FIXES),
        *(
            program("why", f"https://{name}.example.com/", *source, "-o", form)
            for name, form in (("good", "text"), ("swapped", "json"), ("opaque", "text"))
            for source in (kubeconfig, ("--snapshot", snapshots))
        ),
        program("why", "--symptom", "tls: private key does not match public key", *kubeconfig),
        program(
            "why", "https://good.example.com/", *kubeconfig, "--probe", "backends", "-o", "json"
        ),
    ]

    assert saved.code == 0, saved.err
    assert {name for name, _ in written(out)} == set(FORMATS), runs[0].err
    assert any(b"swapped" in content for _, content in written(out)), "it was looked at"
    assert b"swapped" in plain(snapshots)
    assert b"-----BEGIN CERTIFICATE-----" in plain(snapshots), "the ConfigMap was read"
    assert all(b"swapped" in content for _, content in written(kept)), runs[0].err
    everything = [*written(out), *written(kept), ("the snapshot", plain(snapshots))]
    for name, content in everything:
        assert_clean(name, content)
    for done in runs:
        assert "Traceback" not in done.err
        assert_clean("stdout", done.out.encode())
        assert_clean("stderr", done.err.encode())


@pytest.mark.parametrize("leak", [False, True], ids=["as it is", "with a leak"])
def test_no_object_in_memory_holds_a_key(cluster: Cluster, planted: str, leak: bool) -> None:
    """When the report is written, with all that was read; and the search finds what it looks for."""
    keys = {name: certs.key_pem(name) for name in NAMES}
    pieces = {name: [t.decode("latin-1") for t in traces(key)] for name, key in keys.items()}
    wanted = [piece for group in pieces.values() for piece in group if piece.isascii()]
    done = subprocess.run(
        [
            *(sys.executable, str(Path(__file__).parents[1] / "memory_walk.py")),
            *(["leak"] if leak else []),
            *("scan", "--kubeconfig", str(cluster.kubeconfig), "-n", planted, "-v", "9"),
        ],
        input=json.dumps([*wanted, "swapped.example.com"]),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.stdout, done.stderr
    held = json.loads(done.stdout)["held"]
    assert held.pop() == "swapped.example.com"
    assert bool(held) == leak


def plain(snapshot: Path) -> bytes:
    import gzip

    data = snapshot.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


@pytest.mark.parametrize("harm", ["corrupt", "truncate_after"])
def test_no_complaint_about_a_broken_answer_holds_a_key(
    control_plane: ControlPlane, planted: str, harm: str
) -> None:
    """The bytes that could not be decoded are Secrets."""
    with FaultProxy(control_plane).start() as proxy:
        getattr(proxy, harm)("/secrets", 900, times=None)
        kubeconfig = proxy.kubeconfig()
        done = program("scan", "--kubeconfig", kubeconfig, "-n", planted, "-o", "json", "-v", "9")

    assert "Secret" in str(done.report["not_checked"])
    assert_clean("stdout", done.out.encode())
    assert_clean("stderr", done.err.encode())


def test_the_search_finds_what_it_looks_for() -> None:
    key = certs.key_pem(NAMES[0])

    for content in (
        key.replace(b"\n", b""),
        base64.b64encode(key),
        json.dumps(value(key)).encode(),
    ):
        with pytest.raises(AssertionError, match="a piece of the key"):
            assert_clean("it", content)
