"""`hack/audit`: asks PyPI for known weaknesses of all that is pinned. No answer is no pass."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
LOCKS = sorted((ROOT / "hack").glob("constraints*.txt"))

#: How it ends.
PASSED, WEAK, UNKNOWN = 0, 1, 3


def main() -> None:
    """Ask, say what is known, and what is not."""
    argparse.ArgumentParser(
        description="Asks PyPI for known weaknesses of every package that a lock file of hack/ "
        f"names. Exit code: {PASSED} each was asked for and none is known to be weak, {WEAK} some "
        f"are, {UNKNOWN} PyPI did not answer about all of them."
    ).parse_args()
    answers = []
    for lock in LOCKS:
        answer = _asked(lock)
        if answer is None:
            sys.exit(UNKNOWN)
        answers += answer
    code, lines = verdict(answers)
    print("\n".join(lines), file=sys.stderr if code else sys.stdout)
    sys.exit(code)


def _asked(lock: Path) -> list[dict[str, Any]] | None:
    """What is known of each package of a lock file; None, and a word why, where nothing is."""
    tool = (sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "-f", "json")
    done = subprocess.run(
        (*tool, "--require-hashes", "--disable-pip", "-r", str(lock)),
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        print(f"audit: {lock.name}: no answer, so no pass: {last[:300]}", file=sys.stderr)
        return None
    return found


def verdict(answers: Iterable[dict[str, Any]]) -> tuple[int, list[str]]:
    """The exit code, and what to say: a package that nobody knows of is not a healthy one."""
    packages = {(str(a["name"]), str(a.get("version", ""))): a for a in answers}
    unknown = sorted(name for (name, _), answer in packages.items() if "skip_reason" in answer)
    weak = [
        line for package, answer in sorted(packages.items()) for line in _told(*package, answer)
    ]
    lines = [f"audit: {line}" for line in weak]
    if unknown or not packages:
        lines.append(
            f"audit: no answer about {len(unknown)} of {len(packages)} packages, so no pass: "
            f"{', '.join(unknown[:5])}{', ...' if len(unknown) > 5 else ''}. "
            "Is it PyPI itself that is asked, or a mirror without /pypi/NAME/VERSION/json?"
        )
    if weak:
        return WEAK, lines
    if unknown or not packages:
        return UNKNOWN, lines
    return PASSED, [f"audit: {len(packages)} packages, none known to be weak"]


def _told(name: str, version: str, answer: dict[str, Any]) -> Iterator[str]:
    for weakness in answer.get("vulns", ()):
        mended = ", ".join(weakness.get("fix_versions", ())) or "no version yet"
        yield f"{name} {version}: {weakness['id']}, mended in {mended}"
