"""What runs a scan on a schedule in a cluster. `gwdoctor manifests` and deploy/ are made of this."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from gwdoctor import rights
from gwdoctor.delivery.destinations import CONFIG_MAP, SPREAD, TERMINATION_LOG, Destination
from gwdoctor.probe import Probe
from gwdoctor.render.openreports import APIS
from gwdoctor.source.rights import MODES
from gwdoctor.version import __version__

Manifest = dict[str, Any]

NAME = "gwdoctor"
#: The user in the image: no name, no shell, no home.
USER = 65532
#: Reading 16,400 objects takes 120 MB, 75,700 objects three times that.
RESOURCES = {
    "requests": {"cpu": "100m", "memory": "192Mi"},
    "limits": {"memory": "512Mi"},
}
#: Without --report-to: beside the log.
REPORT_TO = (
    Destination("termination", TERMINATION_LOG),
    Destination("configmap", CONFIG_MAP),
)
#: The deadline of the run, and that of the Pod, which leaves time to deliver what was read.
SCAN_SECONDS, POD_SECONDS = 300, 600
_LABELS = {"app.kubernetes.io/name": NAME}
_RESTRICTED = {
    f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")
}
_REPORTS = "reports"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What may be chosen."""

    namespace: str = NAME
    schedule: str = "23 * * * *"
    time_zone: str = "Etc/UTC"
    image: str = f"{NAME}:{__version__}"
    checks: tuple[str, ...] = ()  #: as --select takes them; empty: all
    secrets: str = "none"
    secret_names: frozenset[tuple[str, str]] = frozenset()
    running: tuple[str, ...] = ()  #: what of the running system is asked, of `source.rights.MODES`
    report_to: tuple[Destination, ...] = REPORT_TO
    outputs: tuple[str, ...] = ()  #: more formats, as FORMAT=FILE
    api_servers: tuple[tuple[str, int], ...] = ()  #: network and port; empty: any


def objects(settings: Settings, probes: Collection[type[Probe]]) -> list[Manifest]:
    """Everything, in the order in which it is applied."""
    return [made for part in parts(settings, probes).values() for made in part]


def parts(settings: Settings, probes: Collection[type[Probe]]) -> dict[str, list[Manifest]]:
    """The same by the name of the file that it stands in under deploy/."""
    return {
        "namespace": [namespace(settings)],
        "rbac": rbac(settings, probes),
        "networkpolicy": [network_policy(settings)],
        "cronjob": [*_claims(settings), cron_job(settings)],
    }


def namespace(settings: Settings) -> Manifest:
    """A namespace in which nothing runs that asks for more than a restricted Pod."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": settings.namespace, "labels": {**_LABELS, **_RESTRICTED}},
    }


# --- rights ------------------------------------------------------------------------------


def rbac(settings: Settings, probes: Collection[type[Probe]]) -> list[Manifest]:
    """The ServiceAccount, what it may read, and what it may write: reports."""
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": NAME, "namespace": settings.namespace, "labels": _LABELS},
        "automountServiceAccountToken": False,
    }
    roles = reading_and_writing(settings, probes)
    for role in roles:
        role["metadata"]["labels"] = _LABELS
    bound = [(role, rights.binding(role, NAME, settings.namespace)) for role in roles]
    return [account, *(made for pair in bound for made in pair)]


def reading_and_writing(settings: Settings, probes: Collection[type[Probe]]) -> list[Manifest]:
    """All roles: what is read everywhere, the Secrets that are named, the reports."""
    wide = wide_name(settings.namespace)
    everywhere = rights.cluster_role(wide, probes, settings.secrets)
    everywhere["rules"] += [MODES[mode].rule for mode in settings.running]
    return [
        everywhere,
        *rights.secret_roles(wide, settings.secret_names),
        *report_roles(settings.report_to, settings.namespace),
    ]


def wide_name(namespace: str) -> str:
    """The name of what stands outside the namespace: two of us must not share it."""
    return NAME if namespace == NAME else f"{NAME}-{namespace}"


def report_roles(destinations: Iterable[Destination], namespace: str) -> list[Manifest]:
    """What it takes to write reports there, and nothing to read elsewhere."""
    in_the_cluster = [one for one in destinations if one.is_in_the_cluster]
    rules: list[Manifest] = []
    everywhere: list[Manifest] = []
    for one in in_the_cluster:
        if one.kind == "configmap":
            rules.append(_rule("", ["configmaps"], ["get", "create", "patch"], one.value))
        elif one.value == SPREAD:
            everywhere += _report_rules(in_cluster=True)
        else:
            rules += _report_rules(in_cluster=False)
    if in_the_cluster:  # who owns the reports
        rules.append(_rule("batch", ["cronjobs"], ["get"], NAME))
    made = [rights.role(f"{NAME}-reports", namespace, rules)] if rules else []
    return [
        *made,
        *([rights.role(f"{wide_name(namespace)}-reports", "", everywhere)] if everywhere else []),
    ]


def _report_rules(*, in_cluster: bool) -> list[Manifest]:
    """Reports have names that are not known before, and those that are out of date are deleted."""
    verbs = ["list", "create", "patch", "delete"]
    return [
        _rule(api.group, [f"{kind.lower()}s" for kind in kinds], verbs)
        for api in APIS
        for kinds in [[api.kind, api.cluster_kind] if in_cluster else [api.kind]]
    ]


def _rule(group: str, resources: list[str], verbs: list[str], name: str = "") -> Manifest:
    names = {"resourceNames": [name]} if name else {}
    return {"apiGroups": [group], "resources": resources, **names, "verbs": verbs}


# --- network -----------------------------------------------------------------------------


def network_policy(settings: Settings) -> Manifest:
    """Out to the API server and to DNS, and in from nowhere.

    The metadata service of a cloud (link-local) is not among "any address": its answers are
    credentials.
    """
    dns = {
        "to": [
            {
                "namespaceSelector": {
                    "matchLabels": {"kubernetes.io/metadata.name": "kube-system"}
                },
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
            },
            {"ipBlock": {"cidr": "169.254.20.10/32"}},  # NodeLocal DNSCache
        ],
        "ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")],
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": NAME, "namespace": settings.namespace, "labels": _LABELS},
        "spec": {
            "podSelector": {"matchLabels": _LABELS},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [*_servers(settings), dns],
        },
    }


_ANYWHERE = [
    {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
    {"ipBlock": {"cidr": "::/0", "except": ["fe80::/10", "fd00:ec2::/32"]}},
]


def _servers(settings: Settings) -> list[Manifest]:
    """Egress to the API server, and to the places that reports are sent to."""
    rules: list[Manifest] = [
        {
            "to": [{"ipBlock": {"cidr": network}}],
            "ports": [{"protocol": "TCP", "port": port}],
        }
        for network, port in settings.api_servers
    ]
    sent = any(_is_sent(one) for one in settings.report_to)
    if not rules or sent:
        ports = [443] if rules else [443, 6443]
        if any(one.kind == "pushgateway" for one in settings.report_to):
            ports.append(9091)
        tcp = [{"protocol": "TCP", "port": port} for port in ports]
        rules.append({"to": _ANYWHERE, "ports": tcp})
    return rules


def _is_sent(one: Destination) -> bool:
    return one.kind in ("webhook", "slack", "teams", "pushgateway")


# --- the CronJob -------------------------------------------------------------------------


def cron_job(settings: Settings) -> Manifest:
    """The schedule. A finding does not fail the Job; what could not be done does, once more tried."""
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": NAME, "namespace": settings.namespace, "labels": _LABELS},
        "spec": {
            "schedule": settings.schedule,
            "timeZone": settings.time_zone,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 1800,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "metadata": {"labels": _LABELS},
                "spec": {
                    "activeDeadlineSeconds": POD_SECONDS,
                    "ttlSecondsAfterFinished": 86400,
                    "backoffLimit": 1,
                    "podFailurePolicy": {
                        "rules": [
                            {  # flags or input that are wrong are wrong the second time, too
                                "action": "FailJob",
                                "onExitCodes": {
                                    "containerName": NAME,
                                    "operator": "In",
                                    "values": [2],
                                },
                            }
                        ]
                    },
                    "template": {"metadata": {"labels": _LABELS}, "spec": _pod(settings)},
                },
            },
        },
    }


#: What the rights of a mode are for. Addresses of gateways may not be reached from in there.
_FLAGS = {
    "logs": ("--logs",),
    "port-forward": ("--probe=tls,backends", "--probe-via=port-forward"),
}


def arguments(settings: Settings) -> list[str]:
    """The command line of the scan."""
    select = [f"--select={','.join(settings.checks)}"] if settings.checks else []
    return [
        "scan",
        "--all-namespaces",
        *select,
        "--output=jsonl",
        *(f"--output={output}" for output in settings.outputs),
        *(flag for mode in settings.running for flag in _FLAGS[mode]),
        "--fail-on=never",
        f"--timeout={SCAN_SECONDS}s",
        *(f"--report-to={one}" for one in settings.report_to),
    ]


def _pod(settings: Settings) -> Manifest:
    volumes, mounts = _volumes(settings)
    return {
        "serviceAccountName": NAME,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": NAME,
                "image": settings.image,
                "args": arguments(settings),
                "env": _environment(settings),
                "resources": RESOURCES,
                **_termination_log(settings),
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                **({"volumeMounts": mounts} if mounts else {}),
            }
        ],
        **({"volumes": volumes} if volumes else {}),
    }


def _termination_log(settings: Settings) -> Manifest:
    """Where the kubelet looks for the message, if not where it does by itself."""
    for one in settings.report_to:
        if one.kind == "termination" and one.value != TERMINATION_LOG:
            return {"terminationMessagePath": one.value}
    return {}


def _environment(settings: Settings) -> list[Manifest]:
    """Where it runs, and from a Secret `gwdoctor` the addresses of webhooks."""
    field = {"fieldRef": {"fieldPath": "metadata.namespace"}}
    variables = dict.fromkeys(one.variable for one in settings.report_to if one.variable)
    return [
        {"name": "POD_NAMESPACE", "valueFrom": field},
        {"name": "GWDOCTOR_CRONJOB", "value": NAME},
        *(
            {"name": name, "valueFrom": {"secretKeyRef": {"name": NAME, "key": name}}}
            for name in variables
        ),
    ]


def _files(settings: Settings) -> list[str]:
    """The folders that reports are written to."""
    files = [one.value for one in settings.report_to if one.kind == "file"]
    files += [output.partition("=")[2] for output in settings.outputs]
    folders = {str(PurePosixPath(file).parent) for file in files}
    return sorted(folders)


def _volumes(settings: Settings) -> tuple[list[Manifest], list[Manifest]]:
    """One claim for all folders of reports; addresses in files from the Secret `gwdoctor`."""
    volumes: list[Manifest] = []
    mounts: list[Manifest] = []
    folders = _files(settings)
    if folders:
        claim = {"claimName": f"{NAME}-{_REPORTS}"}
        volumes.append({"name": _REPORTS, "persistentVolumeClaim": claim})
        mounts += [{"name": _REPORTS, "mountPath": folder} for folder in folders]
    secret_folders = {
        str(PurePosixPath(one.value.removeprefix("file:")).parent)
        for one in settings.report_to
        if one.value.startswith("file:")
    }
    if secret_folders:
        volumes.append({"name": "addresses", "secret": {"secretName": NAME, "defaultMode": 0o440}})
        mounts += [
            {"name": "addresses", "mountPath": folder, "readOnly": True}
            for folder in sorted(secret_folders)
        ]
    return volumes, mounts


def _claims(settings: Settings) -> list[Manifest]:
    if not _files(settings):
        return []
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": f"{NAME}-{_REPORTS}",
                "namespace": settings.namespace,
                "labels": _LABELS,
            },
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
    ]


def kustomization(settings: Settings, probes: Collection[type[Probe]]) -> Manifest:
    """What binds the files of deploy/ together."""
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"{name}.yaml" for name in parts(settings, probes)],
    }
