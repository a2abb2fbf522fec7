"""gwdoctor as a process: pipes, signals, start-up, terminals."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from commandline import BROKEN, CHECK, HEALTHY, program

pytestmark = pytest.mark.slow  # whole processes, again and again

#: What must not be imported to say the version, or to show help.
HEAVY = ("kubernetes", "msgspec", "cryptography", "rich", "yaml", "jq", "jinja2", "urllib3")
OURS = ("gwdoctor.checks", "gwdoctor.model", "gwdoctor.kinds", "gwdoctor.catalogue")


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    file = tmp_path / "broken.yaml"
    file.write_text(BROKEN)
    return file


@pytest.mark.parametrize(
    ("arguments", "lean"),
    [
        (("--version",), (*HEAVY, *OURS, "typer")),
        (("--help",), (*HEAVY, *OURS)),
        ((), (*HEAVY, *OURS)),
        (("scan", "--help"), (*HEAVY, *OURS)),
    ],
)
def test_what_is_imported_to_start(arguments: tuple[str, ...], lean: tuple[str, ...]) -> None:
    done = program(*arguments, interpreter=("-X", "importtime"))

    imported = {line.rpartition("|")[2].strip() for line in done.err.splitlines()}
    assert done.code == 0
    assert "gwdoctor.version" in imported or "gwdoctor.cli.app" in imported
    assert not {name for name in imported if name.split(".")[0] in lean or name in lean}


def processor_seconds(*command: str) -> float:
    """The least time of five runs that the processor works on it, and not on others."""

    def once() -> float:
        before = os.times()
        subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, check=True)
        after = os.times()
        user = after.children_user - before.children_user
        return user + after.children_system - before.children_system

    return min(once() for _ in range(5))


#: What a bare interpreter takes on the machine that the budgets are meant for.
BARE = 0.02


def test_start_up_stays_in_its_budget() -> None:
    slowness = max(1.0, processor_seconds("-I", "-c", "pass") / BARE)

    assert processor_seconds("-m", "gwdoctor", "--version") < 0.08 * slowness
    assert processor_seconds("-m", "gwdoctor", "--help") < 0.25 * slowness


@pytest.fixture
def long_report(broken: Path) -> list[str]:
    """A command that writes much more than a pipe holds."""
    copies = (BROKEN.replace("misdirected,", f"m{n},") for n in range(400))
    broken.write_text("---\n".join(copies))
    return [sys.executable, "-m", "gwdoctor", "scan", "-f", str(broken), "--select", CHECK]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_is_no_error(long_report: list[str], unbuffered: str) -> None:
    process = subprocess.Popen(
        long_report,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    assert process.stdout is not None
    assert process.stderr is not None

    process.stdout.read(10)
    process.stdout.close()
    complaints = process.stderr.read()

    assert process.wait(60) == 141
    assert complaints == b""
    process.stderr.close()


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_slow_reader_gets_every_byte(long_report: list[str], unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    process = subprocess.Popen(
        long_report, stdout=writing, env={**os.environ, "PYTHONUNBUFFERED": unbuffered}
    )
    os.close(writing)
    time.sleep(4)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read().decode()

    assert process.wait(60) == 1
    assert text.count("  fix (review): ") == 400
    assert text.splitlines()[-1].startswith("exit 1: 400 findings")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_one_line(broken: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = program("scan", "-f", broken, stdout=full, stderr=subprocess.PIPE)

    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert "cannot write" in done.err


@pytest.mark.parametrize("closed", ["1", "2", "0"])
def test_closed_streams_are_no_error(broken: Path, closed: str) -> None:
    line = f'exec {closed}>&-; exec "$@"'
    command = [sys.executable, "-m", "gwdoctor", "scan", "-f", str(broken), "--select", CHECK]
    done = subprocess.run(
        ["sh", "-c", line, "sh", *command], capture_output=True, timeout=60, check=False
    )

    assert done.returncode == 1
    assert b"Traceback" not in done.stderr


def test_ctrl_c_ends_a_program_that_never_ends(broken: Path) -> None:
    command = [sys.executable, "-m", "gwdoctor", "scan", "-f", str(broken), "--select", CHECK]
    process = subprocess.Popen(
        [*command, "--jq", "last(repeat(1))"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        time.sleep(4)
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=20)
    finally:
        process.kill()

    assert process.returncode in (-signal.SIGINT, 130)
    assert b"Traceback" not in complaints


@pytest.mark.parametrize("sort", [signal.SIGINT, signal.SIGTERM])
def test_an_unfinished_file_is_its_owner_s_and_taken_away(
    broken: Path, tmp_path: Path, sort: signal.Signals
) -> None:
    """Ended while a snapshot is being written."""
    slow = "import os, sys, time; os.fsync = lambda handle: time.sleep(60); "
    run = "from gwdoctor.cli import app; sys.exit(app.run(['gwdoctor', *sys.argv[1:]]))"
    kept = tmp_path / "kept"
    kept.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", slow + run, "snapshot", "-f", broken, "-o", kept / "snapshot.json"],
        stderr=subprocess.PIPE,
    )
    try:
        end = time.monotonic() + 60
        while not (found := list(kept.iterdir())) and time.monotonic() < end:
            time.sleep(0.05)
        modes = [stat.S_IMODE(file.stat().st_mode) for file in found]
        process.send_signal(sort)
        _, complaints = process.communicate(timeout=20)
    finally:
        process.kill()

    assert modes == [0o600]
    assert not list(kept.iterdir())
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[sort]
    assert b"Traceback" not in complaints


def interrupted(process: subprocess.Popen[bytes], patience: float = 30) -> tuple[bytes, bytes]:
    """What it says when Ctrl-C is pressed until it ends: one that comes just before the program
    falls asleep in a read is only seen with the next."""
    end = time.monotonic() + patience
    while True:
        process.send_signal(signal.SIGINT)
        try:
            return process.communicate(timeout=1)
        except subprocess.TimeoutExpired:
            if time.monotonic() > end:
                raise


def test_ctrl_c_while_reading_is_130_and_quiet(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [sys.executable, "-m", "gwdoctor", "scan", "-f", str(fifo)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        writer = os.open(fifo, os.O_WRONLY)  # returns when the other side reads
        out, complaints = interrupted(process)
        os.close(writer)
    finally:
        process.kill()
        process.wait()

    assert process.returncode == 130
    assert out == b""
    assert b"Traceback" not in complaints
    assert len(complaints.splitlines()) <= 1


def test_a_bug_is_one_line_and_how_to_report_it(broken: Path) -> None:
    code = (
        "import sys; sys.argv = ['gwdoctor', 'scan', '-f', sys.argv[1]]\n"
        "import gwdoctor.engine as e\n"
        "def broken(*a, **k): raise KeyError('oops')\n"
        "e.scan = broken\n"
        "from gwdoctor.__main__ import main; sys.exit(main())"
    )
    plain, debug = (
        subprocess.run(
            [sys.executable, "-c", code, str(broken)],
            capture_output=True,
            text=True,
            env={**os.environ, "GWDOCTOR_DEBUG": value},
            timeout=60,
            check=False,
        )
        for value in ("", "1")
    )

    assert plain.returncode == debug.returncode == 2
    assert "a bug of gwdoctor: KeyError: 'oops'" in plain.stderr
    assert "Traceback" not in plain.stderr
    assert "GWDOCTOR_DEBUG=1" in plain.stderr
    assert "Traceback" in debug.stderr


def test_an_ascii_terminal_gets_ascii(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(BROKEN.replace("name: misdirected", 'name: "mü中"'), encoding="utf-8")

    done = program("scan", "-f", file, environment={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})

    assert done.code == 1
    assert r"m\xfc\u4e2d" in done.out
    assert done.out.isascii()


# --- terminals ----------------------------------------------------------------------------------


def on_a_terminal(
    *arguments: str | Path, columns: int = 80, environment: Mapping[str, str] | None = None
) -> str:
    """What a person sees: stdout is a pseudo-terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "gwdoctor", *map(str, arguments)],
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env={
            "PATH": os.environ["PATH"],
            "TERM": "xterm-256color",
            "COLUMNS": str(columns),
            **(environment or {}),
        },
    )
    os.close(theirs)
    seen = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        seen += piece
    process.wait(60)
    os.close(ours)
    return seen.decode()


COLOR = re.compile(r"\x1b\[[\d;]*m")


def test_a_terminal_gets_a_table_in_colour(broken: Path) -> None:
    seen = on_a_terminal("scan", "-f", broken, "--select", CHECK)

    assert "SEVERITY" in seen
    assert "\x1b[1;31mcritical" in seen


@pytest.mark.parametrize(
    ("arguments", "environment", "colored"),
    [
        ((), {"NO_COLOR": "1"}, False),
        ((), {"NO_COLOR": ""}, True),
        ((), {"TERM": "dumb"}, False),
        (("--color", "never"), {}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
    ],
)
def test_when_there_is_colour(
    broken: Path, arguments: tuple[str, ...], environment: dict[str, str], colored: bool
) -> None:
    seen = on_a_terminal(
        "scan", "-f", broken, "--select", CHECK, *arguments, environment=environment
    )

    assert bool(COLOR.search(seen)) == colored
    assert "SEVERITY" in seen


def test_a_pipe_gets_lines_without_colour_unless_it_is_asked_for(broken: Path) -> None:
    plain = program("scan", "-f", broken, "--select", CHECK)
    colored = program("scan", "-f", broken, "--select", CHECK, "--color", "always")

    assert "SEVERITY" not in plain.out
    assert "\x1b" not in plain.out
    assert COLOR.sub("", colored.out) == plain.out != colored.out


def test_programs_get_json_on_a_terminal_too(broken: Path) -> None:
    assert on_a_terminal("scan", "-f", broken, "-o", "json").startswith("{")


def test_jq_cannot_pass_control_characters_to_a_terminal(broken: Path) -> None:
    seen = on_a_terminal("scan", "-f", broken, "--jq", r'"a\u001b[2J\u202eb"')

    assert seen == "a\\x1b[2J\\u202eb\r\n"


def test_a_page_is_folded_and_its_code_is_not() -> None:
    seen = on_a_terminal("explain", CHECK, columns=60).splitlines()

    prose = [line for line in seen if line and not line.startswith("    ")]
    assert all(len(COLOR.sub("", line)) <= 60 or " " not in line for line in prose)
    assert any(line.startswith("    ") and len(line) > 60 for line in seen)


def test_a_healthy_file_on_a_terminal(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(HEALTHY)

    seen = on_a_terminal("scan", "-f", file, "--select", CHECK, "--color", "never")

    assert "No problem found." in seen
    assert "SEVERITY" not in seen
