"""What may come next on a command line."""

from __future__ import annotations

import json
import pkgutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from gwdoctor.completion import names

TABLE = "data/commands.json"

# cobra's ShellCompDirective, which kubectl and our scripts understand.
ERROR, NO_SPACE, NO_FILES, FOLDERS = 1, 2, 4, 16
FILES = 0


class Answer(NamedTuple):
    """Candidates with their descriptions, and what the shell shall do with them."""

    candidates: tuple[tuple[str, str], ...] = ()
    directive: int = NO_FILES

    def __str__(self) -> str:
        lines = [f"{value}\t{told}" if told else value for value, told in self.candidates]
        return "".join(f"{line}\n" for line in [*lines, f":{self.directive}"])


class _Typed(NamedTuple):
    """A command line, read as far as the word under the cursor."""

    command: str
    options: tuple[tuple[str, str], ...]  #: those before the cursor, by their long names
    waiting: Any = None  #: the option whose value is under the cursor
    only_arguments: bool = False  #: after `--`


def main(words: Sequence[str]) -> int:
    """Print the answer to these words, the last of which is under the cursor.

    It never fails: a message would land in the middle of the line that somebody types.
    """
    try:
        answer = complete(words)
    except (Exception, KeyboardInterrupt):
        answer = Answer(directive=ERROR)
    try:
        sys.stdout.buffer.write(str(answer).encode(errors="surrogateescape"))
        sys.stdout.flush()
    except (OSError, AttributeError):
        pass
    return 0


def complete(words: Sequence[str]) -> Answer:
    """The answer to these words."""
    commands = json.loads(pkgutil.get_data("gwdoctor", TABLE) or b"")
    *before, word = words or [""]
    typed = _read(before, commands)
    if typed.waiting:
        return _value_of(typed.waiting, word, typed)
    if word.startswith("-") and not typed.only_arguments:
        name, equals, value = word.partition("=")
        if not equals:
            return Answer(_matching(_free_options(typed, commands), word))
        option = _option(name, typed.command, commands)
        return _value_of(option or {}, value, typed)
    if not typed.command:
        listed = ((name, command["help"]) for name, command in commands.items() if name)
        return Answer(_matching(listed, word))
    return _values(commands.get(typed.command, {}).get("arguments"), word, typed)


# --- reading the line ------------------------------------------------------------------------


def _read(before: Sequence[str], commands: dict[str, Any]) -> _Typed:
    command = ""
    options: list[tuple[str, str]] = []
    rest = iter(before)
    for word in rest:
        if word == "--":
            return _Typed(command, tuple(options), only_arguments=True)
        if not word.startswith("-") or word == "-":
            command = command or word
            continue
        name, equals, value = word.partition("=")
        option = _option(name, command, commands)
        if option is None:
            continue
        if "values" in option and not equals:
            given = next(rest, None)
            if given is None:
                return _Typed(command, tuple(options), waiting=option)
            value = given
        options.append((option["names"][-1], value))
    return _Typed(command, tuple(options))


def _option(name: str, command: str, commands: dict[str, Any]) -> Any:
    options = commands.get(command, {}).get("options", ())
    return next((option for option in options if name in option["names"]), None)


# --- candidates ------------------------------------------------------------------------------


def _free_options(typed: _Typed, commands: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """The options that may still be given; the long names first."""
    given = {name for name, _ in typed.options}
    free = [
        option
        for option in commands.get(typed.command, {}).get("options", ())
        if "repeatable" in option or option["names"][-1] not in given
    ]
    yield from ((option["names"][-1], option["help"]) for option in free)
    yield from ((name, option["help"]) for option in free for name in option["names"][:-1])


def _value_of(option: dict[str, Any], word: str, typed: _Typed) -> Answer:
    if "to_file" in option and "=" in word:
        return Answer(directive=FILES)
    return _values(option.get("values"), word, typed)


def _values(values: Any, word: str, typed: _Typed) -> Answer:
    """Values of an option or argument: a list of them, or the name of where they come from."""
    if isinstance(values, list):
        return Answer(_matching(((value, "") for value in values), word))
    match values:
        case "files":
            return Answer(directive=FILES)
        case "folders":
            return Answer(directive=FOLDERS)
        case "check":
            return _checks(word)
        case "checks":
            return _in_a_list(word, _checks)
        case "families":
            return _in_a_list(word, lambda part: _names(names.families(), part))
        case "namespaces":
            known = names.namespaces(typed.options)
            return _in_a_list(word, lambda part: _names(known, part))
        case "contexts" | "clusters" | "users":
            return _names(names.of_kubeconfig(values, dict(typed.options)), word)
    return Answer()


def _checks(word: str) -> Answer:
    """Families first, then the checks of one: more than two hundred at once are no help."""
    family, slash, _ = word.partition("/")
    if slash:
        return _names(names.checks(family), word)
    return _names((f"{name}/" for name in names.families()), word)._replace(
        directive=NO_SPACE | NO_FILES
    )


def _in_a_list(word: str, part_of: Any) -> Answer:
    """The last part of a list with commas."""
    head, comma, part = word.rpartition(",")
    answer: Answer = part_of(part)
    return answer._replace(
        candidates=tuple((f"{head}{comma}{value}", told) for value, told in answer.candidates)
    )


def _names(values: Iterable[str], word: str) -> Answer:
    return Answer(_matching(((value, "") for value in values), word))


def _matching(candidates: Iterable[tuple[str, str]], word: str) -> tuple[tuple[str, str], ...]:
    """Those that begin so; a name with a blank or a control character is not offered."""
    return tuple(
        (value, told)
        for value, told in candidates
        if value.startswith(word) and value.isprintable() and " " not in value
    )
