"""gwdoctor as a plugin: through the real kubectl, found on PATH by its name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import BROKEN, CHECK, HEALTHY, Done, program

from gwdoctor.cli.program import name

pytestmark = [
    pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl here"),
    pytest.mark.slow,
]


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH with kubectl, the two plugin commands and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for command in ("kubectl-gwdoctor", "kubectl_complete-gwdoctor"):
        (folder / command).symlink_to(Path(sys.executable).with_name(command))
    kubectl = Path(shutil.which("kubectl") or "")
    (folder / "kubectl").symlink_to(kubectl)
    return str(folder)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    file = tmp_path / "broken.yaml"
    file.write_text(BROKEN)
    return file


@pytest.fixture
def healthy(tmp_path: Path) -> Path:
    file = tmp_path / "healthy.yaml"
    file.write_text(HEALTHY)
    return file


def kubectl(path: str, *arguments: str | Path) -> Done:
    done = subprocess.run(
        ["kubectl", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={"PATH": path, "HOME": "/nonexistent"},
        executable=f"{path}/kubectl",
        timeout=120,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_kubectl_lists_it_without_a_warning(path: str) -> None:
    done = kubectl(path, "plugin", "list")

    assert done.code == 0
    assert done.err == ""
    assert done.out.splitlines()[1:] in (
        ["", f"{path}/kubectl-gwdoctor"],
        [f"{path}/kubectl-gwdoctor"],
    )


@pytest.mark.parametrize("arguments", [("--help",), (), ("scan", "--help"), ("fix", "-h")])
def test_help_says_what_has_to_be_typed(path: str, arguments: tuple[str, ...]) -> None:
    done = kubectl(path, "gwdoctor", *arguments)

    assert done.code == 0
    assert done.out.startswith("Usage: kubectl gwdoctor ")
    assert "`gwdoctor " not in done.out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("scan", "-f", "BROKEN"), 1),
        (("scan", "-f", "BROKEN", "--fail-on", "never"), 0),
        (("scan", "-f", "HEALTHY"), 0),
        (("scan", "-f", "/no/such/file"), 2),
        (("scan", "--bogus"), 2),
        (("scan", "-f", "BROKEN", "-f", "CUT"), 1),
        (("scan", "-f", "HEALTHY", "-f", "CUT"), 3),
        (("scan", "--context", "no-such-context"), 4),
        (("scan", "--server=https://127.0.0.1:1", "--request-timeout=1s"), 4),
    ],
)
def test_exit_codes_pass_through(
    path: str, arguments: tuple[str, ...], code: int, broken: Path, healthy: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.yaml"
    cut.write_text("apiVersion: v1\nkind: Service\nmetadata: {name: [\n")
    files = {"BROKEN": str(broken), "HEALTHY": str(healthy), "CUT": str(cut)}
    only = ("--select", CHECK) if arguments[0] == "scan" else ()

    done = kubectl(path, "gwdoctor", *(files.get(word, word) for word in arguments), *only)

    assert done.code == code, done.err
    assert "Traceback" not in done.err


def test_flags_of_kubectl_stand_after_the_name(path: str, broken: Path) -> None:
    """Before the name kubectl refuses them itself; after it they are ours, in all its spellings."""
    before = kubectl(path, "--context", "x", "gwdoctor", "scan", "-f", broken)
    after = kubectl(
        path, "gwdoctor", "scan", "-f", broken, "--select", CHECK,
        "--context", "x", "--namespace=infra", "-A=false", "--cluster=c", "--user", "u",
        "--as", "a", "--as-group=g", "--as-group", "h", "--as-uid=1", "-s=https://127.0.0.1:1",
        "--token=t", "--request-timeout", "1s", "--tls-server-name=n", "--cache-dir", "/tmp/c",
        "--certificate-authority=x", "--client-certificate=x", "--client-key=x", "-v=2",
        "--insecure-skip-tls-verify=true", "--disable-compression=true", "--kubeconfig=/no/file",
        "-o=json",
    )  # fmt: skip

    assert "cannot be placed before plugin name" in before.err
    assert before.code == 1
    assert after.code == 1, after.err
    assert after.ids == [CHECK]


def test_hints_and_lines_to_copy_say_kubectl(path: str, broken: Path) -> None:
    hints = [
        kubectl(path, "gwdoctor", "demo").err,
        kubectl(path, "gwdoctor", "explain", "nothing").err,
        kubectl(path, "gwdoctor", "fix", "nothing", "-f", broken).err,
        kubectl(path, "gwdoctor", "scan", "-f", broken, "--select", "nothing").err,
        kubectl(path, "gwdoctor", "snapshot", "-f", broken, "-o", broken.with_name("s.gz")).err,
    ]

    for hint in hints:
        assert "kubectl gwdoctor " in hint
        assert "`gwdoctor " not in hint


def test_kubectl_completes_it(path: str) -> None:
    done = kubectl(path, "__complete", "gwdoctor", "scan", "--min-severity", "")

    assert done.code == 0
    assert done.out.splitlines() == ["critical", "high", "medium", "low", ":4"]


def test_a_link_and_a_script_of_its_own_complete_it_too(path: str) -> None:
    """As after an install by krew, which installs one command only."""
    script = kubectl(path, "gwdoctor", "completion", "kubectl").out
    shim = Path(path) / "kubectl_complete-gwdoctor"
    shim.unlink()
    shim.write_text(script.replace("/bin/sh", shutil.which("sh") or ""))
    shim.chmod(0o755)

    done = kubectl(path, "__complete", "gwdoctor", "scan", "--fail-on=n")

    assert done.out.splitlines() == ["never", ":4"]


# --- the name, however it is started ----------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "called"),
    [
        ("/usr/bin/gwdoctor", "gwdoctor"),
        ("gwdoctor.exe", "gwdoctor"),
        ("/x/site-packages/gwdoctor/__main__.py", "gwdoctor"),
        ("/usr/bin/kubectl-gwdoctor", "kubectl gwdoctor"),
        ("kubectl-gwdoctor", "kubectl gwdoctor"),
        ("kubectl-gwdoctor.exe", "kubectl gwdoctor"),
        ("C:\\Users\\a\\.krew\\bin\\kubectl-gwdoctor.EXE", "kubectl gwdoctor"),
        ("C:\\Python\\Scripts\\kubectl-gwdoctor-script.py", "kubectl gwdoctor"),
        ("/usr/bin/kubectl-gateway_doctor", "kubectl gateway-doctor"),
        ("-c", "gwdoctor"),
        ("", "gwdoctor"),
    ],
)
def test_the_name_to_type(path: str, called: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [path])

    assert name() == called
    assert name(path) == called


def test_a_module_says_its_plain_name() -> None:
    assert program("--help").out.startswith("Usage: gwdoctor ")


def test_a_link_with_another_name_is_no_plugin(tmp_path: Path) -> None:
    link = tmp_path / "doctor"
    link.symlink_to(Path(sys.executable).with_name("kubectl-gwdoctor"))

    done = subprocess.run([link, "--help"], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("Usage: gwdoctor ")
    assert os.path.islink(link)
