"""How etcd and kube-apiserver are started: the files and the flags of a control plane."""

from __future__ import annotations

import contextlib
import csv
import json
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from testbed import kubeconfig
from testbed.certificates import Authority, write_key
from testbed.keeper import Keeper

ADMIN = "admin"
USERS = ("alice", "bob", "carol")
"""Users without any right: RBAC tests bind roles to them."""

ETCD = "etcd"
KEEPER = "control-plane"
STATE = "control-plane.json"


def launch(folder: Path, commands: Mapping[str, Path], *, users: Path | None) -> None:
    """Write the files of a control plane into `folder` and start its processes."""
    authority = Authority(folder, "ca")
    certificate, key = authority.server("kube-apiserver")
    accounts_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    write_key(folder / "service-accounts.key", accounts_key)
    store, peer, port = free_ports(3)
    endpoint, server = f"http://127.0.0.1:{store}", f"https://127.0.0.1:{port}"

    tokens = {user: secrets.token_hex(16) for user in (ADMIN, *USERS)}
    tokens_file = folder / "tokens.csv"
    tokens_file.touch(mode=0o600)
    with tokens_file.open("w", newline="") as file:
        for user, token in tokens.items():
            groups = ("system:masters",) if user == ADMIN else ()
            csv.writer(file).writerow([token, user, user, *groups])
            authority.user(user, *groups)
            kubeconfig.write(
                folder / f"{user}.kubeconfig",
                server=server,
                ca_file=authority.file,
                user=user,
                login={"token": token},
            )
    state_file = folder / STATE
    state_file.touch(mode=0o600)
    state_file.write_text(json.dumps({"server": server, "etcd": endpoint, "tokens": tokens}))

    peers = f"http://127.0.0.1:{peer}"
    etcd = {
        "data-dir": folder / ETCD,
        "listen-client-urls": endpoint,
        "advertise-client-urls": endpoint,
        "listen-peer-urls": peers,
        "initial-advertise-peer-urls": peers,
        "initial-cluster": f"default={peers}",
        "quota-backend-bytes": 8 << 30,
        "log-level": "warn",
    }
    apiserver = {
        "etcd-servers": endpoint,
        # `reset` goes back to an early revision: nobody may forget it.
        "etcd-compaction-interval": "0",
        "bind-address": "127.0.0.1",
        "advertise-address": "127.0.0.1",
        "secure-port": port,
        "tls-cert-file": certificate,
        "tls-private-key-file": key,
        "client-ca-file": authority.file,
        "token-auth-file": tokens_file,
        "authorization-mode": "RBAC",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": folder / "service-accounts.key",
        "service-account-signing-key-file": folder / "service-accounts.key",
        "service-cluster-ip-range": "10.96.0.0/12",
        # Pods need no ServiceAccount: no controller would make it.
        "disable-admission-plugins": "ServiceAccount",
        "endpoint-reconciler-type": "none",
        "allow-privileged": "true",
        "cert-dir": folder,
    }
    Keeper(folder, KEEPER).start(
        {
            "etcd": [str(commands["etcd"]), "--unsafe-no-fsync", *_flags(etcd)],
            "kube-apiserver": [str(commands["kube-apiserver"]), *_flags(apiserver)],
        },
        users=users,
    )


def _flags(values: Mapping[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in values.items()]


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens, all looked for before the first is let go."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
