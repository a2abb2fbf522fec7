"""The commands, put together; and the one place where everything that goes wrong ends."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gwdoctor.cli import argv as arguments
from gwdoctor.cli import program
from gwdoctor.cli.help import Command, Group
from gwdoctor.cli.options import Choice, Connection, Input, Output, Repair, Running, Time, takes

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

_EXITS = """\b
Exit codes, the same for every format:
  0    nothing at or above --fail-on
  1    findings at or above --fail-on
  2    flags, input or an internal error; a named file that does not exist
  3    incomplete: the deadline came first, or a document could not be read
  4    no cluster: cannot connect, log in or find the context
"""


def _version(asked: bool) -> None:
    if asked:
        from gwdoctor.version import __version__

        typer.echo(f"gwdoctor {__version__}")
        raise typer.Exit


@app.callback(epilog="Start with `gwdoctor demo`, or with `gwdoctor scan -A` on a cluster.")
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_version),
    ] = False,
) -> None:
    """The doctor for the entry of a Kubernetes cluster.

    Finds what is wrong with gateways, TLS, certificates, routes and mesh mTLS, and prints the
    YAML that mends it. It reads, and never writes to a cluster.
    """


@app.command(cls=Command, epilog=_EXITS)
@takes(given=Input, choice=Choice, running=Running, output=Output, time=Time, connection=Connection)
def scan(
    given: Input,
    choice: Choice,
    running: Running,
    output: Output,
    time: Time,
    connection: Connection,
) -> int:
    """Find what is wrong, and print what mends it.

    Without -f and --snapshot the cluster of the current context is read. A document that cannot
    be used is named on stderr and under "not checked", and the others are checked all the same.
    """
    from gwdoctor.cli import scan as command

    return command.run(given, choice, running, output, time, connection)


@app.command(cls=Command)
@takes(repair=Repair, given=Input, choice=Choice, time=Time, connection=Connection)
def fix(
    repair: Repair,
    given: Input,
    choice: Choice,
    time: Time,
    connection: Connection,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FINDING]...", help="Ids of findings, or checks."),
    ] = None,
) -> int:
    """Print what mends a finding, tried first; or mend manifests with --files.

    Reads the same as scan. Every fix is made in memory and the checks are run again: the comment
    says whether it clears the finding and opens no other, and who keeps the object. Exits with 1
    where the API server (--dry-run=server) or a file would not take a fix.
    """
    from gwdoctor.cli import fix as command

    return command.run(names or [], repair, given, choice, time, connection)


@app.command(cls=Command)
def explain(
    check: Annotated[str, typer.Argument(help="A check, or the id of a finding.")],
) -> int:
    """Show the page of a check.

    What it means, how to see it yourself, when it is no problem, and what mends it.
    """
    from gwdoctor.cli import explain as command

    return command.run(check)


@app.command(cls=Command)
def checks(
    area: Annotated[
        list[str] | None,
        typer.Option("--area", metavar="FAMILY", help="Only this family, as kong; repeatable."),
    ] = None,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FORMAT", help="text or json.")
    ] = "text",
    stats: Annotated[
        bool,
        typer.Option("--stats", help="Count the fixes of their examples, tried one by one."),
    ] = False,
) -> int:
    """List the checks."""
    from gwdoctor.cli import listing as command

    return command.run(area or [], output, stats=stats)


@app.command(cls=Command)
@takes(given=Input, time=Time, connection=Connection)
def snapshot(
    given: Input,
    time: Time,
    connection: Connection,
    output: Annotated[
        str,
        typer.Option("-o", "--output", metavar="FILE", help="Where to; `-` is standard output."),
    ] = "gwdoctor-snapshot.json.gz",
) -> int:
    """Save what a scan reads, to scan it elsewhere or later.

    Of Secrets only the certificates are in it, never data. Names, hosts and the configuration of
    gateways and plugins are: look before you share it.
    """
    from gwdoctor.cli import snapshot as command

    return command.run(given, time, connection, output)


@app.command(cls=Command)
@takes(output=Output)
def demo(output: Output) -> int:
    """Scan a recorded cluster with a bit of everything wrong."""
    from gwdoctor.cli import demo as command

    return command.run(output)


@app.command(cls=Command)
def version(
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FORMAT", help="text or json.")
    ] = "text",
) -> int:
    """Print the version, and those of what it stands on."""
    from gwdoctor.cli import versions as command

    return command.run(output)


def run(argv: list[str]) -> int:
    """Run a command line; returns the exit code and never raises."""
    from gwdoctor.cli.ending import guarded

    name = program.name(argv[0])

    given = list(arguments.as_click_reads(argv[1:])) or ["--help"]

    def command() -> Any:
        return app(given, prog_name=name, standalone_mode=False)

    return guarded(command)
