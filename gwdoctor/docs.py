"""What is written from the code: `checks/README.md`, parts of `README.md`, a table for completion,
and the kustomize base in `deploy/`.

python -m gwdoctor.docs                    write them
python -m gwdoctor.docs --check            say which are out of date; exit code 1
python -m gwdoctor.docs new family/name    begin a check: its module and two case files
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from gwdoctor import deployment, scaffold
from gwdoctor.catalogue import catalogue
from gwdoctor.kinds import OURS, READINGS
from gwdoctor.pages import page
from gwdoctor.probe import Probe
from gwdoctor.render.formats import FORMATS
from gwdoctor.yamltext.writing import dump

ROOT = Path(__file__).parents[1]
CHECKS = ROOT / "checks" / "README.md"
README = ROOT / "README.md"
DEPLOY = ROOT / "deploy"
COMMANDS = ROOT / "gwdoctor" / "data" / "commands.json"


def family(name: str) -> str:
    """What stands before the slash of an id."""
    return name.partition("/")[0]


def checks_page() -> str:
    """The catalogue as one page: a table a family, then the page of every check."""
    known = catalogue()
    lines = [
        "<!-- Written by `make docs`. The text of a check is the docstring of its class. -->",
        "",
        "# Checks",
        "",
        f"{len(known)} checks. `gwdoctor explain CHECK` shows the same pages.",
        "",
    ]
    for name, members in groupby(known, key=family):
        lines += [f"## {name}", "", "| Check | Severity | What is wrong |", "|---|---|---|"]
        lines += [_row(known[check]) for check in members]
        lines.append("")
    return "\n".join(lines) + "\n" + "\n".join(page(probe, level=2) for probe in known.values())


def _row(probe: type[Probe]) -> str:
    anchor = re.sub(r"[^\w-]", "", probe.id())  # as GitHub makes anchors of headings
    return f"| [`{probe.id()}`](#{anchor}) | {probe.severity} | {probe.title()} |"


def rights(probes: Iterable[type[Probe]]) -> str:
    """The table of what these checks have to be allowed to read."""
    kinds = {kind for probe in probes for kind in probe.reads()}
    groups: dict[str, set[str]] = {}
    for kind in kinds - OURS:
        groups.setdefault(kind.group, set()).add(READINGS[kind].plural)
    rows = ["| apiGroup | resources |", "|---|---|"]
    for group, plurals in sorted(groups.items()):
        name = f"`{group}`" if group else '`""`, the core group'
        rows.append(f"| {name} | {', '.join(sorted(plurals))} |")
    return "\n".join(rows)


def printed(module: str, *arguments: str) -> str:
    """What a module prints when it is run: the command line stands above this one."""
    command = [sys.executable, "-m", module, *arguments]
    environment = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", env=environment, check=False
    )
    if not done.stdout:
        sys.exit(done.stderr)
    return done.stdout


def shown(*arguments: str) -> str:
    """A command and what it prints, as a block."""
    output = printed("gwdoctor", *arguments)
    return f"```\n$ gwdoctor {' '.join(arguments)}\n{output.rstrip()}\n```"


def formats_table() -> str:
    """What a report can be written in."""
    rows = ["| format | what it is |", "|---|---|"]
    rows += [f"| `{form.name}` | {form.about} |" for form in FORMATS.values()]
    return "\n".join(rows)


def readme_page() -> str:
    """README.md with its generated parts as they should be."""
    text = README.read_text(encoding="utf-8")
    text = with_part(text, "demo", shown("demo", "--no-fixes"))
    text = with_part(text, "formats", formats_table())
    text = with_part(text, "help", shown("--help"))
    return with_part(text, "rights", rights(catalogue().values()))


def with_part(text: str, name: str, content: str) -> str:
    """The text with what stands between `<!-- name -->` and `<!-- /name -->` replaced."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise LookupError(f"README.md has no part {begin} ... {end}")
    return f"{before}{begin}\n{content}\n{end}{after}"


def deployed() -> dict[Path, str]:
    """The kustomize base: what `gwdoctor manifests` prints, in files."""
    settings, probes = deployment.Settings(), list(catalogue().values())
    files = {
        **deployment.parts(settings, probes),
        "kustomization": [deployment.kustomization(settings, probes)],
    }
    head = "# Written by `make docs` from gwdoctor/deployment.py.\n"
    return {
        DEPLOY / f"{name}.yaml": head + "---\n".join(map(dump, manifests))
        for name, manifests in files.items()
    }


def pages() -> dict[Path, str]:
    """Every file that is written, as it should be."""
    return {
        CHECKS: checks_page(),
        README: readme_page(),
        COMMANDS: printed("gwdoctor.cli.table"),
        **deployed(),
    }


def main(arguments: list[str]) -> int:
    """Write the pages, check them, or begin a check; returns the exit code."""
    if not (ROOT / "pyproject.toml").is_file():
        print("this works in a checkout of gwdoctor only", file=sys.stderr)
        return 2
    match arguments:
        case []:
            for path, text in pages().items():
                path.write_text(text, encoding="utf-8")
            return 0
        case ["--check"]:
            stale = [
                path
                for path, text in pages().items()
                if not path.exists() or path.read_text(encoding="utf-8") != text
            ]
            for path in stale:
                print(f"{path.relative_to(ROOT)} is out of date: run `make docs`", file=sys.stderr)
            return 1 if stale else 0
        case ["new", name]:
            try:
                for path in scaffold.begin(ROOT, name):
                    print(path.relative_to(ROOT))
            except ValueError as error:
                print(error, file=sys.stderr)
                return 2
            return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
