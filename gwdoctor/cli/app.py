"""The commands, put together; and the one place where everything that goes wrong ends."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

import typer

from gwdoctor.cli import argv as arguments
from gwdoctor.cli import program
from gwdoctor.cli.help import Command, Group
from gwdoctor.cli.options import (
    Asked,
    Choice,
    Connection,
    Delivery,
    Deployment,
    Input,
    Output,
    Repair,
    Rights,
    Running,
    Time,
    takes,
)

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
  3    incomplete: the deadline came first, a document could not be read, or a report not delivered
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
    YAML that mends it. It never writes to a cluster, except a report that you ask it to write.
    """


@app.command(cls=Command, epilog=_EXITS)
@takes(
    given=Input,
    choice=Choice,
    running=Running,
    output=Output,
    delivery=Delivery,
    time=Time,
    connection=Connection,
)
def scan(
    given: Input,
    choice: Choice,
    running: Running,
    output: Output,
    delivery: Delivery,
    time: Time,
    connection: Connection,
) -> int:
    """Find what is wrong, and print what mends it.

    Without -f and --snapshot the cluster of the current context is read. A document that cannot
    be used is named on stderr and under "not checked", and the others are checked all the same.
    """
    from gwdoctor.cli import scan as command

    return command.run(given, choice, running, output, delivery, time, connection)


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
@takes(
    asked=Asked,
    given=Input,
    choice=Choice,
    running=Running,
    time=Time,
    connection=Connection,
)
def why(
    asked: Asked,
    given: Input,
    choice: Choice,
    running: Running,
    time: Time,
    connection: Connection,
    url: Annotated[
        str | None, typer.Argument(metavar="[URL|HOST]", help="As https://shop.example.com/cart.")
    ] = None,
) -> int:
    """Walk one request hop by hop, or find the checks of a symptom.

    Listener, certificate, route, filters, backend, protocol, mTLS, endpoints: each is ok, broken
    or not seen, and the walk goes on behind what is broken. Nothing is sent to it unless
    --probe asks for that. All namespaces are read unless -n names some. Exits with 0 where nothing is broken on the way,
    with 1 where something is, with 3 where not everything could be seen.
    """
    from gwdoctor.cli import why as command

    return command.run(url, asked, given, choice, running, time, connection)


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


@app.command(cls=Command, epilog=_EXITS)
@takes(output=Output)
def convert(
    report: Annotated[str, typer.Argument(help="A saved report; `-` is standard input.")],
    output: Output,
) -> int:
    """Write a saved report in other formats.

    Takes what `gwdoctor scan` wrote with -o json or -o jsonl, and ends as the scan would have.
    """
    from gwdoctor.cli import convert as command

    return command.run(report, output)


@app.command(cls=Command)
@takes(rights=Rights, time=Time, connection=Connection)
def rbac(
    rights: Rights,
    time: Time,
    connection: Connection,
    namespace: Annotated[
        list[str] | None,
        typer.Option(
            "-n",
            "--namespace",
            metavar="NAME",
            help="With --check: ask for this namespace only; may be repeated. "
            "Else where reports are written to. Default: gwdoctor.",
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Say which checks the present user could run, and which not."),
    ] = False,
    output: Annotated[
        str,
        typer.Option(
            "-o", "--output", metavar="FORMAT", help="yaml or json; of --check, text or json."
        ),
    ] = "",
) -> int:
    """Print the least role for a scan of all namespaces, or check what you may read.

    get and list, nothing else; what is not granted is told in the report. With --check the exit
    code is 3 where a check could not see everything.
    """
    from gwdoctor.cli import rbac as command

    return command.run(rights, time, connection, namespace or [], output, check=check)


@app.command(cls=Command)
@takes(deployment=Deployment, rights=Rights, time=Time, connection=Connection)
def manifests(deployment: Deployment, rights: Rights, time: Time, connection: Connection) -> int:
    """Print what runs a scan on a schedule in the cluster: CronJob, rights, network policy.

    For `kubectl apply -f -`. Without --report-to the report goes to the log, to the termination
    message of the container and to a ConfigMap. Nothing is read from the cluster, but for
    --secrets named.
    """
    from gwdoctor.cli import manifests as command

    return command.run(deployment, rights, time, connection)


@app.command(cls=Command)
@takes(output=Output)
def demo(output: Output) -> int:
    """Scan a recorded cluster with a bit of everything wrong."""
    from gwdoctor.cli import demo as command

    return command.run(output)


@app.command(cls=Command)
def completion(
    shell: Annotated[str, typer.Argument(help="bash, zsh, fish or kubectl.")],
) -> int:
    """Print the script with which a shell completes this command.

    Its first lines say where it belongs. `kubectl gwdoctor` is completed by kubectl itself, if
    kubectl_complete-gwdoctor is on PATH: packages bring it, for archives `kubectl` prints it.
    """
    from gwdoctor.cli import completion as command

    return command.run(shell)


@app.command(cls=Command)
def version(
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FORMAT", help="text or json.")
    ] = "text",
) -> int:
    """Print the version, and those of what it stands on."""
    from gwdoctor.cli import versions as command

    return command.run(output)


@cache
def root() -> Any:
    """The command line as click has it: made once, out of every signature."""
    return typer.main.get_command(app)


def run(argv: list[str]) -> int:
    """Run a command line; returns the exit code and never raises."""
    from gwdoctor.cli.ending import guarded

    name = program.name(argv[0])

    given = list(arguments.as_click_reads(argv[1:])) or ["--help"]

    def command() -> Any:
        return root()(given, prog_name=name, standalone_mode=False)

    return guarded(command)
