"""Groups of options: a dataclass a panel, and a decorator that makes a command take them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, get_type_hints

import typer

from gwdoctor.render import formats


def takes(**groups: type[Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of these groups; it is called with one object of each.

    The other parameters of the command stay as they are, and come first in its help.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = [
            parameter
            for name, parameter in inspect.signature(command, eval_str=True).parameters.items()
            if name not in groups
        ]
        spread = [parameter for group in groups.values() for parameter in _parameters(group)]

        @functools.wraps(command)
        def wrapper(**given: Any) -> Any:
            built = {
                name: group(**{field.name: given.pop(field.name) for field in fields(group)})
                for name, group in groups.items()
            }
            return command(**given, **built)

        wrapper.__signature__ = inspect.Signature([*own, *spread])  # type: ignore[attr-defined]
        wrapper.__annotations__ = {}
        return wrapper

    return decorate


def _parameters(group: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    parameters = []
    for field in fields(group):
        default = field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        parameters.append(
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=default,
                annotation=hints[field.name],
            )
        )
    return parameters


def _option(panel: str, *names: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, show_default=False, **more)


_WHAT = "What is read"
_OUTPUT = "Output"
_CHECKS = "Which checks"
_FIXES = "Which fixes, and how"
_RUNNING = "The running system"
_REQUEST = "The request"
_DELIVERY = "Where else the report goes"
_ROLE = "What is to be allowed"
_DEPLOYMENT = "What is run, and when"
_RUN = "Time"
_CONNECTION = "Connection, as with kubectl"


@dataclass(frozen=True, kw_only=True)
class Input:
    """Where the resources come from, and which part of them the report is about."""

    filename: Annotated[
        list[str] | None,
        _option(
            _WHAT,
            "-f",
            "--filename",
            metavar="FILE|DIR|-",
            help="Read manifests or kubectl dumps instead of a cluster; may be repeated.",
        ),
    ] = None
    snapshot: Annotated[
        str | None,
        _option(
            _WHAT,
            "--snapshot",
            metavar="FILE",
            help="Read what `gwdoctor snapshot` saved, as it was at that time.",
        ),
    ] = None
    namespace: Annotated[
        list[str] | None,
        _option(
            _WHAT,
            "-n",
            "--namespace",
            metavar="NAME",
            help="Report on this namespace; may be repeated. "
            "Default: the one of the context; of files, all.",
        ),
    ] = None
    all_namespaces: Annotated[
        bool, _option(_WHAT, "-A", "--all-namespaces", help="Report on all namespaces.")
    ] = False
    selector: Annotated[
        str | None,
        _option(
            _WHAT,
            "-l",
            "--selector",
            metavar="LABELS",
            help="Report only on objects with these labels: `app=shop,tier!=test`.",
        ),
    ] = None
    now: Annotated[
        str | None,
        _option(
            _WHAT,
            "--now",
            metavar="TIME",
            help="The clock of the checks, as 2026-11-21T12:00:00Z. "
            "Default: the present; of a snapshot, its own time.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which checks are run, and which of their findings are told."""

    select: Annotated[
        list[str] | None,
        _option(
            _CHECKS,
            "--select",
            metavar="CHECKS",
            help="Run only these: ids, families (kong) or patterns (*/*mtls*), with commas.",
        ),
    ] = None
    ignore: Annotated[
        list[str] | None,
        _option(_CHECKS, "--ignore", metavar="CHECKS", help="Do not run these."),
    ] = None
    min_severity: Annotated[
        str,
        _option(
            _CHECKS,
            "--min-severity",
            metavar="LEVEL",
            help="Tell only critical, high, medium or low and worse. Default: low.",
        ),
    ] = "low"
    min_confidence: Annotated[
        str,
        _option(
            _CHECKS,
            "--min-confidence",
            metavar="LEVEL",
            help="Tell only certain, likely or possible and surer. Default: possible.",
        ),
    ] = "possible"


@dataclass(frozen=True, kw_only=True)
class Running:
    """What of the running system is looked at beside what is declared. Nothing unasked."""

    logs: Annotated[
        bool,
        _option(
            _RUNNING,
            "--logs",
            help="Read the last lines of the logs of gateways, Kong, cert-manager, and of the "
            "sidecars that findings name: they prove findings. Needs the right to get pods/log.",
        ),
    ] = False
    log_since: Annotated[
        str,
        _option(
            _RUNNING,
            "--log-since",
            metavar="TIME",
            help="How far back. Default: 15m; 0 for no limit.",
        ),
    ] = "15m"
    log_lines: Annotated[
        int,
        _option(
            _RUNNING,
            "--log-lines",
            metavar="N",
            help="At most so many lines of each log, and never more than 1 MiB. Default: 2000.",
        ),
    ] = 2000

    probe: Annotated[
        list[str] | None,
        _option(
            _RUNNING,
            "--probe",
            metavar="tls|backends",
            help="tls: shake hands for each host of the entry, compare what is served with the "
            "Secret. backends: ask what the ports behind Kong speak. Repeatable, or with commas.",
        ),
    ] = None
    probe_via: Annotated[
        str,
        _option(
            _RUNNING,
            "--probe-via",
            metavar="address|port-forward",
            help="address: where the cluster says that the gateway is reached. port-forward: its "
            "Pods, through the API server, which needs pods/portforward. Default: address.",
        ),
    ] = "address"
    probe_allow: Annotated[
        list[str] | None,
        _option(
            _RUNNING,
            "--probe-allow",
            metavar="CIDR",
            help="Connect only to addresses in this network; may be repeated. Link-local and "
            "metadata addresses never are, loopback only so.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Repair:
    """Which fixes, and what is done with them."""

    all: Annotated[
        bool, _option(_FIXES, "--all", help="All findings with a fix that needs no decision.")
    ] = False
    include_review: Annotated[
        bool,
        _option(
            _FIXES,
            "--include-review",
            help="With --all: those fixes, too, that change traffic or hold a decision.",
        ),
    ] = False
    output: Annotated[
        str | None,
        _option(
            _FIXES,
            "-o",
            "--output",
            metavar="FORMAT",
            help="yaml, json, patch (JSON patches) or kubectl (lines for a shell). Default: yaml.",
        ),
    ] = None
    diff: Annotated[
        bool,
        _option(_FIXES, "--diff", help="Show diffs; with --files, and leave the files alone."),
    ] = False
    dry_run: Annotated[
        str,
        _option(
            _FIXES,
            "--dry-run",
            metavar="server|none",
            help="server: ask the API server whether it would take it. Nothing is written.",
        ),
    ] = "none"
    files: Annotated[
        str | None,
        _option(
            _FIXES,
            "--files",
            metavar="DIR",
            help="Edit the manifests in this folder or file instead of printing the fixes; "
            "scanned is this, or what -f names.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a client asks for beside the URL, or what it read."""

    method: Annotated[
        str, _option(_REQUEST, "-X", "--request", metavar="METHOD", help="Default: GET.")
    ] = ""
    header: Annotated[
        list[str] | None,
        _option(
            _REQUEST,
            "-H",
            "--header",
            metavar="'NAME: VALUE'",
            help="Sent with it; may be repeated. Host is what the client asks for, at the URL.",
        ),
    ] = None
    sni: Annotated[
        str | None,
        _option(_REQUEST, "--sni", metavar="NAME", help="In the handshake instead of the host."),
    ] = None
    port: Annotated[
        int | None, _option(_REQUEST, "--port", metavar="N", help="Instead of the URL's port.")
    ] = None
    symptom: Annotated[
        str | None,
        _option(
            _REQUEST,
            "--symptom",
            metavar="TEXT",
            help="Instead of a URL: an error of a browser, curl or log. Lists the checks whose "
            "symptom it is, and runs them; `-` reads standard input.",
        ),
    ] = None
    output: Annotated[
        str | None,
        _option(_OUTPUT, "-o", "--output", metavar="FORMAT", help="text or json. Default: text."),
    ] = None
    color: Annotated[
        str,
        _option(_OUTPUT, "--color", metavar="WHEN", help="auto, always or never. Default: auto."),
    ] = "auto"


@dataclass(frozen=True, kw_only=True)
class Output:
    """What is written, and how."""

    output: Annotated[
        list[str] | None,
        _option(
            _OUTPUT,
            "-o",
            "--output",
            metavar="FORMAT[=FILE]",
            help=f"{formats.names()}; on standard output, or in a file. May be repeated. "
            "Default: text.",
        ),
    ] = None
    jq: Annotated[
        str | None,
        _option(
            _OUTPUT,
            "--jq",
            metavar="EXPR",
            help="Write what this jq program makes of the JSON report to standard output; "
            "strings without quotes.",
        ),
    ] = None
    no_fixes: Annotated[
        bool,
        _option(_OUTPUT, "--no-fixes", help="Leave the remediation YAML out of text and Markdown."),
    ] = False
    color: Annotated[
        str,
        _option(
            _OUTPUT,
            "--color",
            metavar="WHEN",
            help="auto, always or never. Default: auto; NO_COLOR and TERM=dumb count.",
        ),
    ] = "auto"
    fail_on: Annotated[
        str,
        _option(
            _OUTPUT,
            "--fail-on",
            metavar="LEVEL",
            help="Exit with 1 from this severity on; or never. Default: high.",
        ),
    ] = "high"
    verbosity: Annotated[
        int,
        _option(_OUTPUT, "-v", metavar="N", help="Say more on stderr about what is done."),
    ] = 0
    timings: Annotated[
        bool, _option(_OUTPUT, "--timings", hidden=True, help="Say on stderr what took how long.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Where the report goes besides stdout."""

    report_to: Annotated[
        list[str] | None,
        _option(
            _DELIVERY,
            "--report-to",
            metavar="PLACE",
            help="termination, configmap[=NAME], openreports[=spread], file=FILE, or "
            "webhook, slack, teams, pushgateway=env:VARIABLE or =file:FILE that holds the "
            "address; may be repeated.",
        ),
    ] = None
    keep: Annotated[
        int,
        _option(
            _DELIVERY,
            "--keep",
            metavar="N",
            help="Runs that the ConfigMap keeps, as far as they fit. Default: 5.",
        ),
    ] = 5


_FOR = _option(
    _ROLE,
    "--for",
    metavar="CHECKS",
    help="Only for these checks: ids, families (kong) or patterns, with commas. Default: all.",
)
_SECRETS = _option(
    _ROLE,
    "--secrets",
    metavar="none|named|all",
    help="none: no Secret; named: those that objects name today, which are looked up in the "
    "cluster or in -f; all. Default: none.",
)


@dataclass(frozen=True, kw_only=True)
class Rights:
    """Which rights are meant."""

    checks: Annotated[list[str] | None, _FOR] = None
    secrets: Annotated[str, _SECRETS] = "none"
    running: Annotated[
        list[str] | None,
        _option(
            _ROLE,
            "--with",
            metavar="logs|port-forward",
            help="With the rights that scan --logs needs, or --probe by port-forward; the CronJob "
            "does it then. Repeatable, or with commas.",
        ),
    ] = None
    report_to: Annotated[
        list[str] | None,
        _option(
            _ROLE,
            "--report-to",
            metavar="PLACE",
            help="With the right to write reports there; as in scan.",
        ),
    ] = None
    filename: Annotated[
        list[str] | None,
        _option(
            _ROLE,
            "-f",
            "--filename",
            metavar="FILE|DIR|-",
            help="With --secrets named: look in these manifests instead of a cluster.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What is deployed."""

    namespace: Annotated[
        str,
        _option(
            _DEPLOYMENT,
            "-n",
            "--namespace",
            metavar="NAME",
            help="The namespace of the CronJob, which is made as well. Default: gwdoctor.",
        ),
    ] = "gwdoctor"
    schedule: Annotated[
        str,
        _option(
            _DEPLOYMENT,
            "--schedule",
            metavar="CRON",
            help="When it runs. Default: `23 * * * *`, every hour.",
        ),
    ] = "23 * * * *"
    time_zone: Annotated[
        str,
        _option(
            _DEPLOYMENT,
            "--time-zone",
            metavar="ZONE",
            help="Of the schedule, as Europe/Berlin. Default: Etc/UTC.",
        ),
    ] = "Etc/UTC"
    image: Annotated[
        str | None,
        _option(
            _DEPLOYMENT,
            "--image",
            metavar="IMAGE",
            help="The image, made with deploy/Dockerfile. Default: gwdoctor:VERSION.",
        ),
    ] = None
    output: Annotated[
        list[str] | None,
        _option(
            _DEPLOYMENT,
            "-o",
            "--output",
            metavar="FORMAT=FILE",
            help="Let the scan write the report in this format, too, into a file on a volume: "
            "html=/reports/last.html; may be repeated.",
        ),
    ] = None
    api_server: Annotated[
        list[str] | None,
        _option(
            _DEPLOYMENT,
            "--api-server",
            metavar="auto|ADDRESS:PORT",
            help="Let the Pod reach only this API server; may be repeated. auto: what the "
            "cluster says of it. Default: any address at 443 and 6443.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Time:
    """How long it may take."""

    timeout: Annotated[
        str,
        _option(
            _RUN,
            "--timeout",
            metavar="TIME",
            help="The deadline of the whole run; what was read till then is reported. "
            "Default: 60s; 0 for none.",
        ),
    ] = "60s"
    request_timeout: Annotated[
        str,
        _option(
            _RUN,
            "--request-timeout",
            metavar="TIME",
            help="The longest that one request may take. Default: 0, up to the deadline.",
        ),
    ] = "0"


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Which cluster, as whom: kubectl's own flags, with kubectl's meaning."""

    kubeconfig: Annotated[
        str | None,
        _option(_CONNECTION, "--kubeconfig", metavar="FILE", help="The kubeconfig to use."),
    ] = None
    context: Annotated[
        str | None, _option(_CONNECTION, "--context", metavar="NAME", help="The context to use.")
    ] = None
    cluster: Annotated[
        str | None,
        _option(_CONNECTION, "--cluster", metavar="NAME", help="The cluster entry to use."),
    ] = None
    user: Annotated[
        str | None, _option(_CONNECTION, "--user", metavar="NAME", help="The user entry to use.")
    ] = None
    server: Annotated[
        str | None,
        _option(
            _CONNECTION, "-s", "--server", metavar="URL", help="The address of the API server."
        ),
    ] = None
    token: Annotated[
        str | None,
        _option(
            _CONNECTION,
            "--token",
            metavar="TOKEN",
            help="A bearer token. Others can see it in the list of processes.",
        ),
    ] = None
    as_user: Annotated[
        str | None, _option(_CONNECTION, "--as", metavar="USER", help="Act as this user.")
    ] = None
    as_group: Annotated[
        list[str] | None,
        _option(
            _CONNECTION,
            "--as-group",
            metavar="GROUP",
            help="Act as a member of this group; may be repeated.",
        ),
    ] = None
    as_uid: Annotated[
        str | None, _option(_CONNECTION, "--as-uid", metavar="UID", help="Act as this UID.")
    ] = None
    certificate_authority: Annotated[
        str | None,
        _option(
            _CONNECTION,
            "--certificate-authority",
            metavar="FILE",
            help="The CA that the server's certificate must come from.",
        ),
    ] = None
    client_certificate: Annotated[
        str | None,
        _option(
            _CONNECTION, "--client-certificate", metavar="FILE", help="The client's certificate."
        ),
    ] = None
    client_key: Annotated[
        str | None,
        _option(_CONNECTION, "--client-key", metavar="FILE", help="The client's key."),
    ] = None
    tls_server_name: Annotated[
        str | None,
        _option(
            _CONNECTION,
            "--tls-server-name",
            metavar="NAME",
            help="The name that the server's certificate must carry.",
        ),
    ] = None
    insecure_skip_tls_verify: Annotated[
        bool,
        _option(
            _CONNECTION,
            "--insecure-skip-tls-verify",
            help="Trust any certificate: whoever is between can read the token.",
        ),
    ] = False
    disable_compression: Annotated[
        bool,
        _option(_CONNECTION, "--disable-compression", help="Ask for answers without gzip."),
    ] = False
    chunk_size: Annotated[
        int,
        _option(
            _CONNECTION,
            "--chunk-size",
            metavar="N",
            help="Objects a page of a list. Default: 500; 0 for all at once.",
        ),
    ] = 500
    cache_dir: Annotated[
        str | None,
        _option(
            _CONNECTION,
            "--cache-dir",
            metavar="DIR",
            hidden=True,
            help="Taken for the sake of kubectl; nothing is cached.",
        ),
    ] = None
