"""`gwdoctor manifests`: what runs a scan on a schedule."""

from __future__ import annotations

import ipaddress
import re
from contextlib import closing
from pathlib import PurePosixPath

from gwdoctor import deployment, rights
from gwdoctor.catalogue import catalogue
from gwdoctor.cli import inputs, outcome, values
from gwdoctor.cli.addresses import destinations
from gwdoctor.cli.chosen import chosen
from gwdoctor.cli.mistakes import Mistake
from gwdoctor.cli.options import Connection, Deployment, Rights, Time
from gwdoctor.cli.rbac import modes, secret_names, warn_of_secrets, write
from gwdoctor.cli.talk import Talk
from gwdoctor.delivery.destinations import HOOKS, Destination
from gwdoctor.drawing import Drawing
from gwdoctor.kinds import ENDPOINT_SLICE, SERVICE
from gwdoctor.render.formats import FORMATS
from gwdoctor.source.batch import Want

#: With --api-server: the addresses that the cluster itself tells.
AUTO = "auto"

_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_IMAGE = re.compile(r"[A-Za-z0-9][\w./:@-]*", re.ASCII)
_ZONE = re.compile(r"[A-Za-z][\w+-]*(/[\w+-]+)*", re.ASCII)
_MACRO = re.compile(r"@(yearly|annually|monthly|weekly|daily|midnight|hourly)")
_CRON_FIELD = re.compile(r"[\d*?,/A-Za-z-]+", re.ASCII)


def run(given: Deployment, asked: Rights, time: Time, connection: Connection) -> int:
    """The command; returns the exit code. Raises Mistake and NoCluster."""
    talk = Talk()
    probes = chosen(catalogue(), asked.checks, None, flag="--for")
    secrets = values.one_of(asked.secrets, list(rights.PROFILES), "--secrets")
    running = modes(asked)
    report_to = destinations(asked.report_to) or deployment.REPORT_TO
    for one in report_to:
        if one.kind == "file" and not _is_on_a_volume(one.value):
            raise Mistake(
                f"--report-to {one}: is no file on a volume; write file=/reports/gwdoctor.json"
            )
    outputs = tuple(map(_output, given.output or ()))
    default = deployment.Settings()
    settings = deployment.Settings(
        namespace=_fitting(_NAMESPACE, given.namespace, "--namespace", "name of a namespace"),
        schedule=_schedule(given.schedule),
        time_zone=_fitting(_ZONE, given.time_zone, "--time-zone", "time zone as Europe/Berlin"),
        image=_fitting(_IMAGE, given.image or default.image, "--image", "name of an image"),
        checks=tuple(_words(asked.checks or ())),
        secrets=secrets,
        secret_names=frozenset(secret_names(asked, probes, time, connection, talk)),
        running=running,
        report_to=report_to,
        outputs=outputs,
        api_servers=tuple(
            dict.fromkeys(
                server
                for text in given.api_server or ()
                for server in (
                    _servers_there(time, connection) if text == AUTO else [_server(text)]
                )
            )
        ),
    )
    warn_of_secrets(probes, secrets, talk)
    _tell_of_addresses(settings, talk)
    draws = any(FORMATS[output.partition("=")[0]].draws for output in outputs)
    write(deployment.objects(settings, (*probes, Drawing) if draws else probes))
    return outcome.Exit.OK


def _words(texts: list[str] | tuple[str, ...]) -> list[str]:
    return [word.strip() for text in texts for word in text.split(",") if word.strip()]


def _fitting(form: re.Pattern[str], text: str, flag: str, what: str) -> str:
    if not form.fullmatch(text):
        raise Mistake(f"{flag}: {text!r} is no {what}")
    return text


def _output(text: str) -> str:
    """`FORMAT=FILE`, as scan takes it; the file is one of the Pod."""
    name, _, file = text.partition("=")
    if name not in FORMATS:
        raise Mistake(f"-o: {name!r} is none of {', '.join(FORMATS)}.")
    if not _is_on_a_volume(file):
        raise Mistake(f"-o: {text!r} names no file on a volume; write {name}=/reports/last.{name}")
    return text


def _is_on_a_volume(file: str) -> bool:
    """Whether a file of the Pod lies in a folder of its own, where a volume can be mounted."""
    path = PurePosixPath(file)
    return path.is_absolute() and not file.endswith("/") and path.parent != PurePosixPath("/")


def _schedule(text: str) -> str:
    """Five fields, or one of the names; the API server looks at it more closely."""
    fields = text.split()
    if _MACRO.fullmatch(text) or (len(fields) == 5 and all(map(_CRON_FIELD.fullmatch, fields))):
        return text
    raise Mistake(f"--schedule: {text!r} is no schedule; write five fields, as '23 * * * *'")


def _server(text: str) -> tuple[str, int]:
    """`10.0.0.1:6443`, `[fd00::1]:6443`, or a network `10.0.0.0/28:443`."""
    host, _, port = text.strip().rpartition(":")
    try:
        network = ipaddress.ip_network(host.strip("[]"), strict=False)
        number = int(port)
    except ValueError:
        number = 0
    if not 0 < number < 65536:
        raise Mistake(f"--api-server: {text!r} is no address with a port; write 10.0.0.1:6443")
    return str(network), number


def _servers_there(time: Time, connection: Connection) -> list[tuple[str, int]]:
    """The API server as Pods of this cluster reach it: its endpoints, and the Service before them,
    because network plugins differ in which of them they look at."""
    from gwdoctor.source.live import connect

    live = connect(
        inputs.flags_of(connection),
        namespaces=["default"],
        timeout=values.seconds(time.timeout, "--timeout"),
        request_timeout=values.seconds(time.request_timeout, "--request-timeout"),
    )
    wanted = [Want(kind, "default", "kubernetes") for kind in (ENDPOINT_SLICE, SERVICE)]
    with closing(live):
        batch = live.fetch(wanted)
    if batch.gaps:  # half of the addresses would be worse than none
        gap = batch.gaps[0]
        raise Mistake(
            f"--api-server {AUTO}: {gap.kind.name} default/{gap.name} cannot be read: {gap.reason}; "
            "name the address, as 10.0.0.1:6443"
        )
    found = batch.resources
    servers = []
    for one in found:
        if one.ref.kind == SERVICE:
            addresses = one.texts("spec", "clusterIPs")
            ports = [port.number("port") for port in one.each("spec", "ports")]
        else:
            addresses = tuple(a for e in one.each("endpoints") for a in e.texts("addresses"))
            ports = [port.number("port") for port in one.each("ports")]
        servers += [_server(f"[{address}]:{port}") for address in addresses for port in ports]
    if not any(one.ref.kind == ENDPOINT_SLICE for one in found):
        raise Mistake(
            f"--api-server {AUTO}: EndpointSlice default/kubernetes is not there; "
            "name the address, as 10.0.0.1:6443"
        )
    return servers


def _tell_of_addresses(settings: deployment.Settings, talk: Talk) -> None:
    """The Secret with the addresses is made by hand: they hold keys, which are not ours."""
    keys = [_key(one) for one in settings.report_to if one.kind in (*HOOKS, "pushgateway")]
    if keys:
        literals = " ".join(f"--from-literal={key}=URL" for key in dict.fromkeys(keys))
        talk.warn(
            f"make the Secret with the addresses: kubectl create secret generic {deployment.NAME} "
            f"-n {settings.namespace} {literals}"
        )


def _key(one: Destination) -> str:
    return one.variable or one.value.rpartition("/")[2]
