"""`--jq`: the program sees the report alone, and has an end."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gwdoctor.cli import jqfilter
from gwdoctor.cli.mistakes import Mistake

REPORT = {"version": 1, "findings": [{"id": "a"}, {"id": "b\u2028"}]}


def made_of(program: str) -> str:
    return jqfilter.filtered(jqfilter.compiled(program), REPORT)


def test_it_makes_lines() -> None:
    assert made_of(".findings[].id") == "a\nb\u2028\n"
    assert made_of(".findings[0], .version, empty") == '{"id":"a"}\n1\n'
    assert len(made_of('"x" * 3000000')) == 3_000_001


@pytest.mark.parametrize(
    "program",
    [
        *("env", "$ENV", "$ENV.SECRET", "env.SECRET", "[env[]]", "$ENV | tojson", "input_filename"),
        *("try input catch .", "[inputs]", "$__loc__", "get_search_list", "getpath([])", "debug"),
        *("def f: $ENV; f", '"m" | try modulemeta catch .', "stderr", "halt_error", "halt"),
        *('"../m" | try modulemeta catch .', "input_line_number?", "[splits(1)?]", "now"),
    ],
)
def test_it_sees_no_environment_and_no_files(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.jq").write_text('module {"secret": "S3CRET"}; def f: "S3CRET";')
    (tmp_path / "m.json").write_text('"S3CRET"')
    (tmp_path / ".jq").write_text('def empty: "S3CRET";')
    monkeypatch.chdir(tmp_path)
    for name in ("SECRET", "JQ_LIBRARY_PATH", "HOME"):
        monkeypatch.setenv(name, "S3CRET" if name == "SECRET" else str(tmp_path))

    told = made_of(program) + "".join(capfd.readouterr())

    assert "S3CRET" not in told
    assert str(tmp_path) not in told
    assert os.environ["SECRET"] == "S3CRET"


@pytest.mark.slow
@pytest.mark.parametrize("program", ["def f: f; f", "last(repeat(1))", "repeat(1)"])
def test_a_program_that_never_ends_is_ended(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jqfilter, "SECONDS", 0.5)

    with pytest.raises(Mistake, match="did not end within"):
        made_of(program)


@pytest.mark.slow
@pytest.mark.parametrize(
    "program",
    [
        '"x" * 500000000 | [. + "a", . + "b", . + "c", . + "d"] | length',
        "reduce range(100000) as $i (null; [.])",  # the library crashes over it
    ],
)
def test_a_program_that_takes_too_much_is_a_mistake(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jqfilter, "MOST_MEMORY", 2 << 30)

    with pytest.raises(Mistake, match="made jq break off"):
        made_of(program)


def test_no_process_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jqfilter, "SECONDS", 0.2)
    children: list[int] = []
    fork = os.fork

    def counted() -> int:
        child = fork()
        children.append(child)
        return child

    monkeypatch.setattr(os, "fork", counted)
    for program in (".", "last(repeat(1))", "error"):
        try:
            made_of(program)
        except Mistake:
            continue

    assert len(children) == 3
    for child in children:
        with pytest.raises(ChildProcessError):
            os.waitpid(child, os.WNOHANG)


def test_what_it_makes_is_what_jq_makes() -> None:
    assert json.loads(made_of(".")) == REPORT
