"""The table that completion reads, made from the commands: `python -m gwdoctor.cli.table`.

`make docs` writes it to `gwdoctor/data/commands.json`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from gwdoctor.cli.app import root
from gwdoctor.completion.scripts import SHELLS
from gwdoctor.delivery import destinations
from gwdoctor.model import Confidence, Severity
from gwdoctor.render import fixes
from gwdoctor.render.formats import FORMATS

_SEVERITIES = [severity.name.lower() for severity in reversed(Severity)]

#: Where values come from: a list of words, or a name that completion/answer.py knows. By command
#: and option, else by option, else by what stands for the value in the help (`server|none` says it
#: all).
_VALUES: dict[str, str | list[str]] = {
    "checks --output": ["text", "json"],
    "fix --output": fixes.FORMATS,
    "rbac --output": ["yaml", "json"],
    "version --output": ["text", "json"],
    "why --output": ["text", "json"],
    "why URL|HOST": "unknown",
    "completion SHELL": SHELLS,
    "explain CHECK": "check",
    "fix FINDING": "check",
    "--cluster": "clusters",
    "--color": ["auto", "always", "never"],
    "--context": "contexts",
    "--fail-on": [*_SEVERITIES, "never"],
    "--min-confidence": [confidence.name.lower() for confidence in reversed(Confidence)],
    "--min-severity": _SEVERITIES,
    "--namespace": "namespaces",
    "--user": "users",
    "CHECKS": "checks",
    "DIR": "folders",
    "FAMILY": "families",
    "FILE": "files",
    "FILE|DIR|-": "files",
    "FORMAT=FILE": list(FORMATS),
    "FORMAT[=FILE]": list(FORMATS),
    "PLACE": list(destinations.KINDS),
}


def table() -> dict[str, Any]:
    """Commands, their options and where the values of these come from; the root is ``."""
    commands = {"": root(), **root().commands}
    return {name: _entry(name, command) for name, command in commands.items() if not command.hidden}


def _entry(name: str, command: Any) -> dict[str, Any]:
    parameters = [p for p in command.params if not getattr(p, "hidden", False)]
    arguments = [p for p in parameters if p.param_type_name == "argument"]
    options = [_option(name, p) for p in parameters if p.param_type_name == "option"]
    return {
        "help": command.get_short_help_str(100),
        "arguments": _argument(name, arguments[0]) if arguments else None,
        "options": [*options, {"names": ["-h", "--help"], "help": "Show this message and exit"}],
    }


def _option(command: str, option: Any) -> dict[str, Any]:
    """What is not so is left out."""
    name = option.opts[-1]
    entry = {"names": option.opts, "help": _first_sentence(option.help or "")}
    if not option.is_flag:
        metavar = option.metavar or ""
        entry["values"] = _known(f"{command} {name}", name, metavar) or _listed(metavar)
        if "=FILE" in metavar:
            entry["to_file"] = True
    if option.multiple:
        entry["repeatable"] = True
    return entry


def _argument(command: str, argument: Any) -> str | list[str]:
    metavar = (argument.metavar or argument.name.upper()).strip("[].")
    return _known(f"{command} {metavar}", metavar) or "files"


def _known(*names: str) -> str | list[str] | None:
    return next((_VALUES[name] for name in names if name in _VALUES), None)


def _listed(metavar: str) -> str | list[str]:
    """The words of `server|none`."""
    return metavar.split("|") if re.fullmatch(r"[a-z-]+(\|[a-z-]+)+", metavar) else "unknown"


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].rstrip(".")


def as_text() -> str:
    """The table as it is written: an option a line, so that a change of one is a change of one."""
    return "".join(_lines())


def _lines() -> Iterator[str]:
    whole = table()
    yield "{\n"
    for number, (name, entry) in enumerate(whole.items()):
        options = ",\n".join(f"   {json.dumps(option)}" for option in entry["options"])
        head = json.dumps({"help": entry["help"], "arguments": entry["arguments"]})[1:-1]
        end = "," if number + 1 < len(whole) else ""
        yield f' {json.dumps(name)}: {{{head}, "options": [\n{options}\n ]}}{end}\n'
    yield "}\n"


if __name__ == "__main__":
    print(as_text(), end="")
