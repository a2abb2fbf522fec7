"""However it is installed, it finds its checks. Nothing here needs the network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from gwdoctor.catalogue import catalogue

pytestmark = pytest.mark.slow  # whole processes, again and again

ROOT = Path(__file__).parents[1]
MODULES = {f"{name.replace('-', '_')}.py" for name in catalogue()}


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source distribution, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "--no-deps", "--no-index", "--target", folder, wheel, cwd=folder)
    return folder


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def ids_found_by(folder: Path, site: Path) -> tuple[list[str], str]:
    """The catalogue as a new process sees it, and where it has it from."""
    code = (
        "import gwdoctor\n"
        "from gwdoctor.catalogue import catalogue\n"
        "print(gwdoctor.__file__)\n"
        "print(*catalogue(), sep='\\n')\n"
    )
    place, *ids = run(sys.executable, "-c", code, cwd=folder, PYTHONPATH=str(site)).splitlines()
    return ids, place


def test_the_wheel_holds_every_check_and_nothing_beside_the_package(wheel: Path) -> None:
    names = names_in(wheel)

    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"gwdoctor"}
    assert {f"gwdoctor/checks/{module}" for module in MODULES} <= names


def test_the_wheel_holds_what_is_no_module(wheel: Path) -> None:
    names = names_in(wheel)

    assert {"gwdoctor/py.typed", "gwdoctor/data/demo.json.gz"} <= names
    assert {"gwdoctor/data/commands.json", "gwdoctor/data/completion/bash.sh"} <= names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_the_wheel_brings_its_commands(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("entry_points.txt"))
        text = archive.read(name).decode()

    assert "gwdoctor = gwdoctor.__main__:main" in text
    assert "kubectl-gwdoctor = gwdoctor.__main__:main" in text
    assert "kubectl_complete-gwdoctor = gwdoctor.__main__:main" in text


def test_the_source_distribution_is_enough_to_work_on(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}

    assert {"README.md", "LICENSE", "CHANGELOG.md", "Makefile", "pyproject.toml"} <= names
    assert {f"checks/{module}" for module in MODULES} <= names
    assert "tests/test_packaging.py" in names


def test_an_installed_wheel_finds_its_checks(installed: Path, tmp_path: Path) -> None:
    ids, place = ids_found_by(tmp_path, installed)

    assert place.startswith(str(installed))
    assert ids == list(catalogue())


def test_it_does_so_too_from_inside_a_checkout(installed: Path) -> None:
    ids, _ = ids_found_by(ROOT, installed)

    assert ids == list(catalogue())


def test_the_wheel_works_as_a_zip_on_the_path(wheel: Path, tmp_path: Path) -> None:
    ids, place = ids_found_by(tmp_path, wheel)

    assert place.startswith(str(wheel))
    assert ids == list(catalogue())


def test_an_installed_wheel_runs(installed: Path, tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(installed)}
    command = (sys.executable, "-m", "gwdoctor", "demo", "--fail-on", "never", "--jq", ".version")

    assert run(*command, cwd=tmp_path, **environment) == "1\n"


def test_an_install_that_lost_its_checks_finds_no_cluster_healthy(
    installed: Path, tmp_path: Path
) -> None:
    lost = tmp_path / "site"
    shutil.copytree(installed, lost)
    for family in (lost / "gwdoctor" / "checks").glob("*/"):
        shutil.rmtree(family)
    done = subprocess.run(
        [sys.executable, "-m", "gwdoctor", "demo"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(lost)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "has no checks" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("place", ["installed", "wheel"])
def test_it_writes_the_page_from_wherever_it_lies(
    place: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Template, style and script are files beside the modules; in a zip they are none."""
    environment = {"PYTHONPATH": str(request.getfixturevalue(place))}
    command = (sys.executable, "-m", "gwdoctor", "demo", "--fail-on", "never", "-o", "html")

    page = run(*command, cwd=tmp_path, **environment)

    assert page.startswith("<!doctype html>")
    assert "requests to 4 of 6 hostnames fail" in page


def test_an_editable_install_finds_the_checks_of_the_checkout(tmp_path: Path) -> None:
    """The one that the tests run with; and a check that is added is there at once."""
    ids, place = ids_found_by(tmp_path, tmp_path)

    assert Path(place).is_relative_to(ROOT)
    assert ids == list(catalogue())
