"""Kubeconfigs: written for the users of our control plane, read for the clusters of others."""

from __future__ import annotations

import json
from pathlib import Path

from testbed.client import Client, Manifest
from testbed.cluster import Cluster


def write(
    file: Path,
    *,
    server: str,
    ca_file: Path,
    user: str,
    login: Manifest,
    cluster_name: str = "gwdoctor-testbed",
) -> Path:
    """Write a kubeconfig with one context, readable by its owner only (JSON is YAML, too)."""
    context = f"{user}@{cluster_name}"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": cluster_name,
                "cluster": {"server": server, "certificate-authority": str(ca_file)},
            }
        ],
        "users": [{"name": user, "user": login}],
        "contexts": [{"name": context, "context": {"cluster": cluster_name, "user": user}}],
        "current-context": context,
    }
    file.touch(mode=0o600)
    file.write_text(json.dumps(content, indent=2) + "\n")
    return file


def connect(file: Path) -> Cluster:
    """The cluster that the current context of a kubeconfig leads to, whatever the login."""
    # The library knows exec plug-ins and all that, but it is slow to import.
    from kubernetes import client, config  # noqa: TID251

    settings = client.Configuration()
    load = config.load_kube_config
    load(config_file=str(file), client_configuration=settings)  # type: ignore[no-untyped-call]
    bearer = settings.get_api_key_with_prefix("authorization") or settings.get_api_key_with_prefix(
        "BearerToken"
    )
    certificate = None
    if settings.cert_file and settings.key_file:
        certificate = (Path(settings.cert_file), Path(settings.key_file))
    ca_file = Path(settings.ssl_ca_cert) if settings.ssl_ca_cert else None
    token = bearer.removeprefix("Bearer ") if bearer else None
    login = Client(settings.host, ca_file=ca_file, token=token, certificate=certificate)
    return Cluster(file, login, ca_file=ca_file)
