"""The krew manifest says what krew asks for (its docs and pkg/index/validation)."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from testbed import krew

from gwdoctor.version import __version__

ROOT = Path(__file__).parents[1]


@pytest.fixture
def archives(tmp_path: Path) -> list[Path]:
    names = ("linux-arm64", "darwin-arm64", "linux-amd64")
    files = [tmp_path / f"gwdoctor-{__version__}-{name}.tar.gz" for name in names]
    for number, file in enumerate(files):
        file.write_bytes(bytes([number]))
    return files


@pytest.fixture
def manifest(archives: list[Path]) -> dict[str, Any]:
    text = krew.manifest(archives, homepage="https://example.com/gwdoctor")
    filled: dict[str, Any] = yaml.safe_load(text)
    return filled


def test_the_head_is_the_one_that_krew_reads(manifest: dict[str, Any]) -> None:
    assert manifest["apiVersion"] == "krew.googlecontainertools.github.com/v1alpha2"
    assert manifest["kind"] == "Plugin"
    assert manifest["metadata"] == {"name": "gwdoctor"}
    assert set(manifest) == {"apiVersion", "kind", "metadata", "spec"}


def test_it_describes_the_plugin_as_the_index_wants_it(manifest: dict[str, Any]) -> None:
    spec = manifest["spec"]

    assert set(spec) == {
        "version",
        "homepage",
        "shortDescription",
        "description",
        "caveats",
        "platforms",
    }
    assert re.fullmatch(r"v\d+\.\d+\.\d+(-[\w.]+)?", spec["version"])
    assert spec["version"] == f"v{__version__}"
    assert spec["homepage"].startswith("https://")
    assert 0 < len(spec["shortDescription"]) <= 50
    assert not spec["shortDescription"].endswith(".")
    assert "--" not in spec["description"], "flags do not belong there"
    assert all(len(line) <= 80 for line in spec["description"].splitlines())


def test_every_platform_has_its_archive(manifest: dict[str, Any], archives: list[Path]) -> None:
    platforms = manifest["spec"]["platforms"]

    selected = [tuple(p["selector"]["matchLabels"].values()) for p in platforms]
    assert sorted(selected) == [("darwin", "arm64"), ("linux", "amd64"), ("linux", "arm64")]
    for platform in platforms:
        assert set(platform) == {"selector", "uri", "sha256", "bin"}
        (archive,) = (file for file in archives if platform["uri"].endswith(f"/{file.name}"))
        assert platform["uri"] == (
            f"https://example.com/gwdoctor/releases/download/v{__version__}/{archive.name}"
        )
        assert platform["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
        assert not platform["bin"].startswith(("/", ".."))


def test_the_template_is_no_manifest_by_itself() -> None:
    """Nobody shall publish it with a version, an address or a hash of yesterday."""
    template = yaml.safe_load((ROOT / "deploy" / "krew.yaml").read_text())

    assert not template["spec"]["version"]
    assert not template["spec"]["homepage"]
    assert not template["spec"]["platforms"]


def test_the_command_says_what_it_does() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "hack" / "freeze", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "needs no Python" in " ".join(done.stdout.split())
    assert "--homepage" in done.stdout
