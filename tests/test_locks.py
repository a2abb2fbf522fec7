"""What is installed is what was locked, by its hash; and what is imported is named."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from testbed import frozen
from testbed.commands import audit

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def plain(requirement: str) -> str:
    """The name in a requirement, as package indexes write it."""
    name = re.split(r"[^A-Za-z0-9._-]", requirement)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("lock", audit.LOCKS, ids=lambda lock: lock.name)
def test_every_locked_package_has_its_version_and_hashes(lock: Path) -> None:
    text = re.sub(r"#.*", "", lock.read_text()).replace("\\\n", " ")
    entries = [line.split() for line in text.splitlines() if line.strip()]

    assert entries
    for entry in entries:
        assert re.fullmatch(r"[a-z0-9.-]+==[^=*]+", entry[0]), entry[0]
        assert [word for word in entry if re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", word)]
        assert not [word for word in entry if word.startswith(("-e", "--index", "git+", "http"))]


def test_the_archive_for_krew_is_made_of_locked_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(frozen, "_run", lambda *command, **_: commands.append([*map(str, command)]))

    frozen._install_tools(tmp_path)

    installs = [command for command in commands if "install" in command]
    assert installs
    for command in installs:
        assert "--require-hashes" in command
        given = [command[at + 1] for at, word in enumerate(command) if word == "-r"]
        assert set(given) <= set(map(str, audit.LOCKS))


def test_the_makefile_installs_by_hashes() -> None:
    recipe = (ROOT / "Makefile").read_text()
    installs = re.findall(r"pip install .*", recipe)

    assert len(installs) >= 3
    for line in installs:
        harmless = "--no-deps --no-build-isolation" in line or line.endswith("pip install -q uv")
        assert harmless or "--require-hashes" in line, line


def test_what_is_imported_is_named_or_brought_by_what_is() -> None:
    """`kubernetes` brings urllib3 and websocket-client, by which it makes port-forwards itself."""
    named = {plain(requirement) for requirement in PROJECT["project"]["dependencies"]}
    needed = (need for name in named for need in metadata.requires(name) or ())
    brought = {plain(need) for need in needed if "extra ==" not in need}
    packages = metadata.packages_distributions()
    imported: dict[str, set[str]] = {}
    for file in [*ROOT.glob("gwdoctor/**/*.py"), *ROOT.glob("checks/**/*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                imported.setdefault(name.partition(".")[0], set()).add(file.name)
    foreign = {
        n: at for n, at in imported.items() if n not in {*sys.stdlib_module_names, "gwdoctor"}
    }

    assert {"websocket", "msgspec"} <= set(foreign)
    for name, files in foreign.items():
        owners = {plain(owner) for owner in packages[name]}
        assert owners & (named | brought), f"{name}, imported by {files}"


# --- the audit ----------------------------------------------------------------------------------

HEALTHY = {"name": "a", "version": "1", "vulns": []}
WEAK = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
UNHEARD = {"name": "c", "skip_reason": "Dependency not found on PyPI and could not be audited"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answers", "code", "told"),
    [
        ([HEALTHY], audit.PASSED, "1 packages, none known to be weak"),
        ([HEALTHY, UNHEARD], audit.UNKNOWN, "no answer about 1 of 2 packages"),
        ([UNHEARD], audit.UNKNOWN, "so no pass: c."),
        ([], audit.UNKNOWN, "so no pass"),
        ([HEALTHY, WEAK], audit.WEAK, "b 2: PYSEC-1, mended in 3"),
        ([UNHEARD, WEAK], audit.WEAK, "no answer about 1 of 2"),
        ("raise SystemExit('no route to host')", audit.UNKNOWN, "no answer, so no pass: no route"),
        ("print('not json')", audit.UNKNOWN, "no answer, so no pass: it says nothing"),
    ],
)
def test_no_answer_is_no_pass(answers: Any, code: int, told: str, tmp_path: Path) -> None:
    """In place of pip-audit stands what gives these answers about every lock file."""
    known = json.dumps({"dependencies": answers, "fixes": []})
    program = answers if isinstance(answers, str) else f"print({known!r})"
    (tmp_path / "pip_audit.py").write_text(f"{program}\n")

    done = subprocess.run(
        [sys.executable, "-c", "from testbed.commands import audit; audit.main()"],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT / 'hack'}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == code, done.stderr
    assert told in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
