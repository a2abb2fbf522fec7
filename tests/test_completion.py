"""Completion: what is offered, to whom, and how soon. The shells are real."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from commandline import BROKEN, Here, program
from shells import PROMPT, TELL, typed
from test_cli_process import BARE, HEAVY, processor_seconds

from gwdoctor.catalogue import catalogue
from gwdoctor.cli import table
from gwdoctor.completion import answer

BIN = Path(sys.executable).parent
COMMANDS = table.table()
FAMILIES = sorted({name.partition("/")[0] for name in catalogue()})
ARN = "arn:aws:eks:eu-1:7:cluster/a"
KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "prod",
    "clusters": [{"name": "eu1", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "alice", "user": {"token": "secret-of-alice"}}],
    "contexts": [
        {"name": name, "context": {"cluster": "eu1", "user": "alice"}}
        for name in (
            "prod",
            "proxy",
            ARN,
            "$(touch pwned)",
            "bad\x1b[2J",
        )
    ],
}


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(capsys)


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(KUBECONFIG))
    return file


def offered(*words: str) -> list[str]:
    return [value for value, _ in answer.complete(words).candidates]


def directive(*words: str) -> int:
    return answer.complete(words).directive


# --- what is offered --------------------------------------------------------------------------


def test_commands_come_with_what_they_do() -> None:
    assert ("scan", "Find what is wrong, and print what mends it.") in answer.complete(
        [""]
    ).candidates
    assert offered("s") == ["scan", "snapshot"]
    assert offered("--v") == ["--version"]
    assert offered() == offered("")


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (("scan", "--min-sev"), ["--min-severity"]),
        (("scan", "--min-severity", ""), ["critical", "high", "medium", "low"]),
        (("scan", "--min-severity="), ["critical", "high", "medium", "low"]),
        (("scan", "--fail-on", "n"), ["never"]),
        (("scan", "-A", "-o", "js"), ["json", "jsonl"]),
        (("scan", "-o=ya"), ["yaml"]),
        (("scan", "-o", "text", "-o", "js"), ["json", "jsonl"]),
        (("scan", "-f", "--", "-o", "wi"), ["wide"]),  # `--` is the file, as for click
        (("fix", "-o", "pa"), ["patch"]),
        (("fix", "--dry-run=s"), ["server"]),
        (("completion", "f"), ["fish"]),
        (("checks", "--area", "env"), ["envoy-gateway"]),
        (("checks", "--area", "kong,env"), ["kong,envoy-gateway"]),
        (("explain", "ko"), ["kong/"]),
        (("scan", "--select", "istio,ko"), ["istio,kong/"]),
        (("no-such-command", "-"), []),
        (("no-such-command", ""), []),
        (("scan", "--no-such-option", "--no-fi"), ["--no-fixes"]),
        (("scan", "--", "-"), []),
    ],
)
def test_what_is_offered(words: tuple[str, ...], values: list[str]) -> None:
    assert offered(*words) == values


def test_an_option_is_offered_once_unless_it_may_be_repeated() -> None:
    given = ("scan", "-n", "shop", "--select=kong", "-A", "-o", "json")

    left = offered(*given, "--fail-on=low", "--")
    assert {"--namespace", "--select", "--output"} <= set(left)
    assert not {"--all-namespaces", "--fail-on"} & set(left)
    assert "-A" not in offered(*given, "-")
    assert "-A" in offered("scan", "-")


def test_every_check_is_offered_and_nothing_else() -> None:
    families = offered("explain", "")
    assert families == [f"{family}/" for family in FAMILIES]
    assert directive("explain", "") == answer.NO_SPACE | answer.NO_FILES
    assert [name for family in families for name in offered("explain", family)] == list(catalogue())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("scan", "-f", ""), answer.FILES),
        (("scan", "--filename=a"), answer.FILES),
        (("scan", "--kubeconfig", ""), answer.FILES),
        (("scan", "-o", "sarif="), answer.FILES),
        (("scan", "--output=sarif=rep"), answer.FILES),
        (("convert", ""), answer.FILES),
        (("fix", "--files", ""), answer.FOLDERS),
        (("scan", "--jq", ""), answer.NO_FILES),
        (("scan", ""), answer.NO_FILES),
    ],
)
def test_where_files_are_wanted(words: tuple[str, ...], expected: int) -> None:
    assert answer.complete(words) == answer.Answer(directive=expected)


def test_names_of_the_kubeconfig(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{kubeconfig}{os.pathsep}/no/such/file")

    assert offered("scan", "--context", "pro") == ["prod", "proxy"]
    assert offered("scan", "--context=arn:aws") == [ARN]
    assert offered("scan", "--cluster", "") == ["eu1"]
    assert offered("scan", "--user", "") == ["alice"]
    assert not [name for name in offered("scan", "--context", "") if "\x1b" in name or " " in name]


def test_the_kubeconfig_that_was_typed_counts(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/no/such/file")
    monkeypatch.setenv("HOME", str(kubeconfig.parent))

    assert offered("scan", "--context", "") == []
    assert offered("scan", "--kubeconfig=~/kubeconfig", "--context", "prox") == ["proxy"]


@pytest.mark.parametrize(
    "text", ["", "a: [", "[1, 2]", "contexts: {a: 1}", "contexts: [1, {}]", "\0"]
)
def test_a_kubeconfig_that_is_none_offers_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(text)

    assert offered("scan", "--kubeconfig", str(file), "--context", "") == []


# --- namespaces, by kubectl -------------------------------------------------------------------


def with_kubectl(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """A PATH on which kubectl is this script."""
    kubectl = folder / "bin" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(f"#!/bin/sh\n{script}\n")
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{kubectl.parent}{os.pathsep}/usr/bin{os.pathsep}/bin")


def test_kubectl_is_asked_for_the_cluster_that_was_typed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    listed = '{"items": [{"metadata": {"name": "shop"}}, {"metadata": {"name": "pay"}}]}'
    with_kubectl(monkeypatch, tmp_path, f"printf '%s\\n' \"$@\" > {asked}; echo '{listed}'")
    flags = ("--context", "a b", "-s=https://x", "-A", "--insecure-skip-tls-verify", "-o", "json")

    assert offered("scan", *flags, "-n", "") == ["pay", "shop"]
    assert offered("scan", *flags, "-n", "pay,s") == ["pay,shop"]
    assert asked.read_text().splitlines() == [
        "get",
        "--raw",
        "/api/v1/namespaces?limit=500",
        "--request-timeout=1.5s",
        "--context=a b",
        "--server=https://x",
        "--insecure-skip-tls-verify",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "script", ["exit 1", "echo no json", "echo []", "echo '{\"items\": 3}'", "sleep 60"]
)
def test_a_kubectl_that_fails_or_is_slow_is_no_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str
) -> None:
    with_kubectl(monkeypatch, tmp_path, f"echo trouble >&2; {script}")
    done = program("__complete", "scan", "-n", "", environment={"PATH": os.environ["PATH"]})

    assert done.code == 0
    assert done.err == ""
    assert re.fullmatch(r":[14]\n", done.out)


def test_ctrl_c_while_kubectl_is_asked_says_nothing_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    number = tmp_path / "number"
    with_kubectl(
        monkeypatch, tmp_path, f"echo $$ > {number}.new; mv {number}.new {number}; sleep 60"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "gwdoctor", "__complete", "scan", "-n", ""],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not number.exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, complaints = process.communicate(timeout=20)

    assert (process.returncode, out, complaints) == (0, b":1\n", b"")
    with pytest.raises(ProcessLookupError):
        os.kill(int(number.read_text()), 0)


def test_bytes_that_are_no_text_are_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gwdoctor", "__complete", "scan", "--select", b"\xff,ko"],
        capture_output=True,
        check=True,
    )

    assert (done.stdout, done.stderr) == (b"\xff,kong/\n:6\n", b"")


def test_without_kubectl_there_are_no_namespaces() -> None:
    done = program("__complete", "scan", "-n", "", environment={"PATH": "/nonexistent"})

    assert (done.code, done.out, done.err) == (0, ":4\n", "")


# --- it is quick ------------------------------------------------------------------------------

QUICK = [
    ("",),
    ("scan", "--"),
    ("scan", "-o", ""),
    ("scan", "--select", "kong/"),
    ("scan", "--context", ""),
]


@pytest.mark.parametrize("words", QUICK, ids=" ".join)
def test_what_is_imported_to_complete(words: tuple[str, ...], kubeconfig: Path) -> None:
    done = program(
        "__complete",
        *words,
        interpreter=("-X", "importtime"),
        environment={"KUBECONFIG": str(kubeconfig)},
    )

    imported = {line.rpartition("|")[2].strip() for line in done.err.splitlines()}
    allowed = {"yaml"} if "--context" in words else set()
    assert len(done.out.splitlines()) > 1
    assert not {n for n in imported if n.split(".")[0] in {*HEAVY, "typer"} - allowed}
    assert not {n for n in imported if re.match(r"gwdoctor\.(checks\.|cli|model|probe)", n)}


@pytest.mark.slow
@pytest.mark.parametrize("words", QUICK, ids=" ".join)
def test_completion_stays_in_its_budget(
    words: tuple[str, ...], kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    slowness = max(1.0, processor_seconds("-I", "-c", "pass") / BARE)

    assert processor_seconds("-m", "gwdoctor", "__complete", *words) < 0.15 * slowness


# --- the table is true ------------------------------------------------------------------------


def options_with_values() -> list[tuple[str, str]]:
    return [
        (command, option["names"][-1])
        for command, entry in COMMANDS.items()
        for option in entry["options"]
        if "values" in option
    ]


@pytest.mark.parametrize(("command", "name"), options_with_values())
def test_fixed_values_are_those_that_the_program_takes(
    here: Here,
    command: str,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it says of a word that is none of them is what we offer."""
    (tmp_path / "a.yaml").write_text(BROKEN)
    monkeypatch.chdir(tmp_path)
    values = next(o for o in COMMANDS[command]["options"] if name in o["names"])["values"]
    takes_files = any("--filename" in o["names"] for o in COMMANDS[command]["options"])
    known = ["-f", "a.yaml"] if takes_files and name not in ("--filename", "--snapshot") else []
    known += {"fix": ["--all"], "convert": ["a.yaml"], "why": ["shop.example.com"]}.get(command, [])

    told = here(command, *known, name, "nonsense").err

    refused = re.search(r"is none of ([\w, -]+)\.", told)
    assert (refused[1].split(", ") if refused else None) == (
        values if isinstance(values, list) else None
    )


def test_the_shells_are_those_that_the_program_knows(here: Here) -> None:
    shells = COMMANDS["completion"]["arguments"]

    assert f"is none of {', '.join(shells)}" in here("completion", "tcsh").err
    assert all(here("completion", shell).code == 0 for shell in shells)


# --- real shells ------------------------------------------------------------------------------

LINES = [
    ("gwdoctor sc\t --min-sev\t crit\t", ["scan", "--min-severity", "critical"]),
    ("gwdoctor scan --output=ya\t", ["scan", "--output=yaml"]),
    ("gwdoctor scan --context prod\t", ["scan", "--context", "prod"]),
    ("gwdoctor scan --context=arn:aws:e\t", ["scan", f"--context={ARN}"]),
    ("gwdoctor explain ko\tupstream-policy\t", ["explain", "kong/upstream-policy-missing"]),
    ("gwdoctor scan -f mani\t -A", ["scan", "-f", "manifests.yaml", "-A"]),
    ("gwdoctor scan -o sarif=mani\t-A", ["scan", "-o", "sarif=manifests.yaml", "-A"]),
    ("gwdoctor fix --files fol\t", ["fix", "--files", "folder"]),
    ("gwdoctor sc -A\x02\x02\x02\t", ["scan", "-A"]),  # the cursor goes back to the word
    ("gwdoctor scan --context arn:aws:eks:eu\t-A", ["scan", "--context", ARN, "-A"]),
    ("gwdoctor scan --fail-on=n\t; true", ["scan", "--fail-on=never"]),
]


def at_home(folder: Path, kubeconfig: Path) -> Mapping[str, str]:
    (folder / "manifests.yaml").touch()
    (folder / "folder").mkdir(exist_ok=True)
    return {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "ZDOTDIR": str(folder),
        "KUBECONFIG": str(kubeconfig),
    }


def shell(name: str, folder: Path, kubeconfig: Path, keys: str) -> list[str]:
    """What the line in this shell calls gwdoctor with."""
    environment = at_home(folder, kubeconfig)
    script = subprocess.run(
        [BIN / "gwdoctor", "completion", name], capture_output=True, text=True, check=True
    ).stdout
    before = "autoload -Uz compinit; compinit -u -D\n" if name == "zsh" else ""
    (folder / f".{name}rc").write_text(f"{before}{TELL}{script}\nPS1='{PROMPT}'\n")
    command = {
        "bash": ["bash", "--noprofile", "--rcfile", str(folder / ".bashrc"), "-i"],
        "zsh": ["zsh", "-d", "-i"],
    }[name]
    return typed(command, f"{keys}\n", environment=environment, cwd=folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bash", "zsh"])
@pytest.mark.parametrize(("keys", "words"), LINES)
def test_a_line_is_completed(
    name: str, keys: str, words: list[str], tmp_path: Path, kubeconfig: Path
) -> None:
    if not shutil.which(name):
        pytest.skip(f"there is no {name} here")

    called = shell(name, tmp_path, kubeconfig, keys)

    assert [word.removesuffix("/") for word in called] == words  # zsh takes that of a folder away


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_a_name_is_text_whatever_a_shell_could_make_of_it(
    name: str, tmp_path: Path, kubeconfig: Path
) -> None:
    if not shutil.which(name):
        pytest.skip(f"there is no {name} here")
    hostile = KUBECONFIG | {"contexts": [{"name": "$(touch${IFS}pwned)`id`;'\"&"}]}
    kubeconfig.write_text(json.dumps(hostile))

    called = shell(name, tmp_path, kubeconfig, "gwdoctor scan --context \t")

    assert called == ["scan", "--context", "$(touch${IFS}pwned)`id`;'\"&"]
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("line", "candidates"),
    [
        ("gwdoctor sna", {"snapshot"}),
        ("gwdoctor scan --min-sev", {"--min-severity"}),
        ("gwdoctor scan --output=y", {"--output=yaml"}),
        ("gwdoctor fix -o ", {"yaml", "json", "patch", "kubectl"}),
        ("gwdoctor scan --context pro", {"prod", "proxy"}),
        ("gwdoctor explain kong/upstream-policy", {"kong/upstream-policy-missing"}),
        ("gwdoctor scan -f mani", {"manifests.yaml"}),
        ("gwdoctor scan --filename=mani", {"--filename=manifests.yaml"}),
        ("gwdoctor scan -o sarif=mani", {"sarif=manifests.yaml"}),
        ("gwdoctor fix --files fol", {"folder/"}),
        ("gwdoctor fix --files=fol", {"--files=folder/"}),
        ("gwdoctor scan --jq ", set()),
    ],
)
def test_fish_offers_the_same(
    line: str, candidates: set[str], tmp_path: Path, kubeconfig: Path
) -> None:
    if not (fish := shutil.which("fish")):
        pytest.skip("there is no fish here")
    command = 'gwdoctor completion fish | source; complete -C "$argv[1]"'

    done = subprocess.run(
        [fish, "--no-config", "-c", command, line],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **at_home(tmp_path, kubeconfig)},
        check=False,
    )

    assert done.stderr == ""
    assert {row.partition("\t")[0] for row in done.stdout.splitlines()} == candidates
