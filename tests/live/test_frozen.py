"""The archive for krew, as installed: in another folder, by a link, without Python and environment.

Building it takes a minute and a half for the first time on a machine, half a minute after a change.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from commandline import BROKEN, CHECK, Done, program
from testbed import ControlPlane, frozen, krew
from testbed.cache import Unavailable

from gwdoctor.catalogue import catalogue
from gwdoctor.version import __version__

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def archive(request: pytest.FixtureRequest) -> Path:
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        try:
            return frozen.archive()
        except Unavailable as problem:
            pytest.fail(str(problem))


@pytest.fixture(scope="module")
def installed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A link to the program, as krew puts it on PATH."""
    folder = tmp_path_factory.mktemp("krew")
    with tarfile.open(archive) as tar:
        tar.extractall(folder / "store", filter="data")
    link = folder / "bin" / "kubectl-gwdoctor"
    link.parent.mkdir()
    link.symlink_to(folder / "store" / frozen.PROGRAM)
    return link


def run(link: Path, *arguments: str | Path, **environment: str) -> Done:
    """Run it with no environment but this one: no PATH, no HOME, no locale."""
    done = subprocess.run(
        [link, *map(str, arguments)],
        capture_output=True,
        cwd=link.parent,
        env=environment,
        timeout=120,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_it_says_its_version(installed: Path) -> None:
    assert run(installed, "--version").out == f"gwdoctor {__version__}\n"
    assert "not installed" not in run(installed, "version").out


def test_it_holds_every_check(installed: Path) -> None:
    listed = [line.split()[1] for line in run(installed, "checks").out.splitlines()]

    assert listed == list(catalogue())


def test_the_demo_is_the_same(installed: Path) -> None:
    ours, theirs = run(installed, "demo"), program("demo")

    assert ours.out == theirs.out
    assert ours.code == theirs.code == 1
    assert "kubectl gwdoctor scan -A" in ours.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("explain", CHECK),
        ("demo", "-o", "yaml"),
        ("demo", "--jq", ".summary.critical"),
    ],
)
def test_other_commands_are_the_same(installed: Path, arguments: tuple[str, ...]) -> None:
    ours = run(installed, *arguments, COLUMNS="80")
    theirs = program(*arguments, environment={"COLUMNS": "80"})

    assert ours.out.replace("kubectl gwdoctor", "gwdoctor") == theirs.out
    assert ours.code == theirs.code


def test_it_completes(installed: Path) -> None:
    assert run(installed, "__complete", "explain", "kong/upstream-policy").out == (
        "kong/upstream-policy-missing\n:4\n"
    )
    assert "kubectl gwdoctor __complete" in run(installed, "completion", "kubectl").out
    link = installed.with_name("kubectl_complete-gwdoctor")
    link.symlink_to(installed.resolve())
    assert run(link, "scan", "--fail-on", "n").out == "never\n:4\n"


def test_a_bug_and_a_mistake_end_as_they_should(installed: Path) -> None:
    assert run(installed, "scan", "-f", "/no/such/file").code == 2
    assert run(installed, "scan").code == 4
    assert "Traceback" not in run(installed, "scan", "--kubeconfig", "/no/such/file").err


def test_it_mends_files(installed: Path, tmp_path: Path) -> None:
    """With ruamel.yaml, which only this command needs."""
    (tmp_path / "a.yaml").write_text(BROKEN)

    arguments = ("fix", "--all", "--include-review", "--diff", "--files", tmp_path)

    assert run(installed, *arguments).out == program(*arguments).out != ""


# --- on the real API server -------------------------------------------------------------------


def kubeconfig(control_plane: ControlPlane, file: Path, user: dict[str, object]) -> Path:
    file.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "it",
                "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
                "users": [{"name": "it", "user": user}],
                "clusters": [
                    {
                        "name": "it",
                        "cluster": {
                            "server": control_plane.server,
                            "certificate-authority": str(control_plane.ca_file),
                        },
                    }
                ],
            }
        )
    )
    return file


def ids(done: Done) -> Iterable[str]:
    assert done.code == 1, done.err
    return done.ids


def test_it_scans_a_cluster_by_a_client_certificate(
    installed: Path, control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    control_plane.apply(BROKEN.replace("namespace: infra", f"namespace: {namespace}"))
    certificate, key = control_plane.certificate_of("admin")
    login: dict[str, object] = {"client-certificate": str(certificate), "client-key": str(key)}
    file = kubeconfig(control_plane, tmp_path / "kubeconfig", login)

    done = run(installed, "scan", "-n", namespace, "-o", "json", KUBECONFIG=str(file))

    assert CHECK in ids(done)
    checks = done.report["checks"]
    assert {*checks["run"], *checks["not_applicable"]} == catalogue().keys()
    assert CHECK in checks["run"]
    assert done.report["target"]["user"] == "admin"


def test_a_login_plugin_gets_its_own_libraries_not_ours(
    installed: Path, control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """The loader of the archive points LD_LIBRARY_PATH at our OpenSSL; `aws` must not find that."""
    plugin, seen = tmp_path / "login", tmp_path / "seen"
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": control_plane.token()},
    }
    plugin.write_text(f"#!/bin/sh\nenv > {seen}\ncat <<'END'\n{json.dumps(credential)}\nEND\n")
    plugin.chmod(0o755)
    login: dict[str, object] = {
        "exec": {
            "apiVersion": credential["apiVersion"],
            "command": str(plugin),
            "interactiveMode": "Never",
        }
    }
    file = kubeconfig(control_plane, tmp_path / "kubeconfig", login)
    scan = ("scan", "-n", namespace, "--select", CHECK, "--kubeconfig", file)

    plain = run(installed, *scan, PATH="/usr/bin:/bin")
    without = seen.read_text()
    run(installed, *scan, PATH="/usr/bin:/bin", LD_LIBRARY_PATH="/of/the/user")

    assert plain.code == 0, plain.err
    assert "LD_LIBRARY_PATH" not in without
    assert "_PYI" not in without
    assert "LD_LIBRARY_PATH=/of/the/user\n" in seen.read_text()


# --- the archive ------------------------------------------------------------------------------


def test_the_archive_is_what_the_manifest_says(archive: Path) -> None:
    manifest = yaml.safe_load(krew.manifest([archive]))

    (platform,) = manifest["spec"]["platforms"]
    assert platform["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        assert tar.getmember(platform["bin"]).mode & 0o111
        assert {name.partition("/")[0] for name in names} == {"gwdoctor"}
        assert not [m.name for m in tar if m.uid or m.gid or m.mtime or m.uname]
    assert "gwdoctor/LICENSE" in names


def test_the_archive_is_small_and_holds_no_tool_of_ours(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        names = "\n".join(tar.getnames())

    assert archive.stat().st_size < 30 << 20
    for foreign in ("pytest", "hypothesis", "PyInstaller", "readline", "pydantic_core/"):
        assert foreign not in names
    assert "/cryptography-" in names, "the licences of what is inside"


def test_the_archive_does_not_say_where_it_was_made(installed: Path) -> None:
    place = str(frozen.ROOT).encode()

    for file in installed.resolve().parent.rglob("*"):
        assert not file.is_file() or place not in file.read_bytes(), file


@pytest.mark.skipif(not shutil.which("kubectl-krew"), reason="there is no krew here")
def test_krew_installs_it(archive: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "gwdoctor.yaml"
    manifest.write_text(krew.manifest([archive]))
    environment = {
        "PATH": f"{tmp_path / 'root' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "KREW_ROOT": str(tmp_path / "root"),
    }
    install = ["kubectl", "krew", "install", f"--manifest={manifest}", f"--archive={archive}"]

    subprocess.run(install, env=environment, check=True, capture_output=True)
    done = subprocess.run(
        ["kubectl", "gwdoctor", "--version"], env=environment, check=True, capture_output=True
    )

    assert done.stdout.decode() == f"gwdoctor {__version__}\n"
