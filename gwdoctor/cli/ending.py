"""Nothing that goes wrong reaches the user as a traceback."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer._click.exceptions import ClickException  # there is no public name of it

from gwdoctor.cli import program
from gwdoctor.cli.mistakes import Mistake
from gwdoctor.cli.stdout import ReaderGone

# What outcome.Exit says; not imported, because it needs the model, and `--help` does not.
_OK, _MISTAKE, _NO_CLUSTER, _INTERRUPTED, _PIPE_CLOSED, _ENDED = 0, 2, 4, 130, 141, 143


class _Ended(BaseException):
    """SIGTERM, which ends a run as Ctrl-C does: what is unfinished is taken away.

    As the first process of a container nothing would end it otherwise, but SIGKILL.
    """


def guarded(command: Callable[[], Any]) -> int:
    """Run it; returns the exit code, also where it fails."""
    try:
        with _heeding_sigterm():
            code = command()
            _flush()
    except ClickException as error:
        error.show()
        return _MISTAKE
    except Mistake as error:
        return _failed(str(error), _MISTAKE)
    except _Ended:
        return _failed("ended by SIGTERM", _ENDED)
    except (KeyboardInterrupt, typer.Abort):
        return _failed("interrupted", _INTERRUPTED)
    except (ReaderGone, BrokenPipeError):
        _let_stdout_go()
        return _PIPE_CLOSED
    except Exception as error:
        if _is_no_cluster(error):
            return _failed(str(error), _NO_CLUSTER)
        if isinstance(error, OSError) and error.filename is None and error.strerror:
            _let_stdout_go()  # a full disk: what is left in the buffer cannot be written either
            return _failed(f"cannot write: {error.strerror}", _MISTAKE)
        return _bug(error)
    return code if isinstance(code, int) else _OK


@contextmanager
def _heeding_sigterm() -> Iterator[None]:
    def end(*_: object) -> None:
        raise _Ended

    if threading.current_thread() is not threading.main_thread():  # in tests
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _is_no_cluster(error: Exception) -> bool:
    batch = sys.modules.get("gwdoctor.source.batch")
    return batch is not None and isinstance(error, batch.NoCluster)


def _bug(error: Exception) -> int:
    if os.environ.get("GWDOCTOR_DEBUG"):
        traceback.print_exc()
    text = " ".join(str(error).split())
    return _failed(
        f"a bug of gwdoctor: {type(error).__name__}: {text}\n"
        "To report it, run it again with GWDOCTOR_DEBUG=1 and send what it says, "
        f"with the output of `{program.name()} version`",
        _MISTAKE,
    )


def _failed(text: str, code: int) -> int:
    from gwdoctor.render.words import visible

    if sys.stderr is not None:
        lines = "\n".join(visible(line) for line in text.split("\n"))
        print(f"gwdoctor: {lines}", file=sys.stderr)
    return code


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _let_stdout_go() -> None:
    """The reader has gone: nothing more is written, not even what is in the buffer."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError, AttributeError):
        pass
