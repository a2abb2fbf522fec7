"""The cache of the test bed: what several processes build at the same time is built once, and whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from testbed import cache, golang, tools

PROGRAM = """
import os, sys, time
from testbed import cache

def fill(place):
    (place / "first").write_text(str(os.getpid()))
    print("filling", flush=True)
    time.sleep(float(sys.argv[1]))
    (place / "last").write_text("whole")

place = cache.once("thing-1.0", fill)
assert (place / "last").read_text() == "whole"
print((place / "first").read_text())
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return tmp_path


def _start(seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(seconds)],
        env=os.environ | {"PYTHONPATH": str(Path(cache.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_of_several_processes_one_fills() -> None:
    processes = [_start(0.5) for _ in range(4)]
    outputs = [process.communicate(timeout=60)[0].split() for process in processes]

    assert sum("filling" in output for output in outputs) == 1
    assert len({output[-1] for output in outputs}) == 1


def test_who_is_killed_leaves_nothing_half_done(home: Path) -> None:
    with _start(60) as killed:
        assert killed.stdout
        killed.stdout.readline()
        killed.send_signal(signal.SIGKILL)
    assert not (home / "gwdoctor" / "thing-1.0").exists()

    with _start(0) as following:
        output, errors = following.communicate(timeout=60)

    assert output.split() == ["filling", str(following.pid)], errors


def test_what_fails_can_be_tried_again() -> None:
    def fail(place: Path) -> None:
        (place / "half").touch()
        raise cache.Unavailable("no network")

    with pytest.raises(cache.Unavailable):
        cache.once("thing-2.0", fail)
    place = cache.once("thing-2.0", lambda place: (place / "whole").touch())

    assert [file.name for file in place.iterdir()] == ["whole"]
    assert not list(cache.folder().glob(".thing-2.0*")), "the half that failed"


def test_assets_of_others_are_used_where_both_are_there(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = cache.folder() / f"etcd-{tools.ETCD.version}-{cache.machine()}"
    built.mkdir(parents=True)
    assets = home / "assets"
    assets.mkdir()
    (assets / "etcd").touch()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))

    assert tools.find(tools.ETCD) == built / "etcd"
    (assets / "kube-apiserver").touch()
    assert tools.find(tools.ETCD) == assets / "etcd"


def test_versions_come_out_of_the_go_modules() -> None:
    for tool in tools.TOOLS.values():
        assert tool.version[0].isdigit()
        assert tool.package in (golang.MODULES / tool.module / "go.mod").read_text()
        assert (golang.MODULES / tool.module / "go.sum").is_file()


def test_the_api_server_and_its_libraries_are_of_one_release() -> None:
    text = (golang.MODULES / "go.mod").read_text()
    release = tools.KUBE_APISERVER.version.removeprefix("1.")
    staging = [
        line.split()[-1] for line in text.splitlines() if "\tk8s.io/" in line and "=>" in line
    ]

    assert len(staging) > 30
    assert set(staging) == {f"v0.{release}"}


def test_who_waits_says_so() -> None:
    with _start(60) as first:
        assert first.stdout
        first.stdout.readline()
        with _start(0) as second:
            assert second.stderr
            said = second.stderr.readline()
            first.kill()
            second.communicate(timeout=60)

    assert "waiting for another process" in said
