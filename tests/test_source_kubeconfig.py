"""Which cluster, as whom: held against the kubectl binary, on the wire."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorder import Recorder, Seen, recorder

from gwdoctor.source import connection, credentials
from gwdoctor.source.access import Access, Flags, resolve
from gwdoctor.source.batch import NoCluster
from gwdoctor.source.connection import Connection, Trouble
from gwdoctor.source.deadline import Deadline
from gwdoctor.version import __version__

needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not on PATH")

ARGUMENTS = {
    "as_user": "--as",
    "as_groups": "--as-group",
    "insecure_skip_tls_verify": "--insecure-skip-tls-verify",
}


@dataclass
class World:
    """A folder with kubeconfigs, and the servers that they speak of."""

    folder: Path
    server: Recorder
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, content: Any) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    def script(self, name: str, text: str) -> Path:
        path = self.write(name, f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    def plugin(self, name: str, status: Mapping[str, str], version: str = "v1") -> Path:
        """An exec plugin that keeps the question it was asked, and prints this."""
        answer = {
            "apiVersion": f"client.authentication.k8s.io/{version}",
            "kind": "ExecCredential",
            "status": status,
        }
        asked = self.folder / "asked.json"
        return self.script(
            name,
            f'printf %s "$KUBERNETES_EXEC_INFO" > {asked}\necho run >> {self.folder / "runs"}\n'
            f"cat <<'END'\n{json.dumps(answer)}\nEND",
        )

    @property
    def runs(self) -> int:
        """How often a plugin ran."""
        ran = self.folder / "runs"
        return len(ran.read_text().splitlines()) if ran.exists() else 0

    def cluster(self, **more: Any) -> dict[str, Any]:
        """The fields of a cluster that is there."""
        ca = {
            "certificate-authority-data": base64.b64encode(
                self.server.ca_file.read_bytes()
            ).decode()
        }
        fields = {"server": self.server.url, **ca, **more}
        return {key: value for key, value in fields.items() if value is not None}


def config(cluster: Mapping[str, Any], user: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A kubeconfig with one of each. Without a login kubectl would ask for one, so there is one."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": dict(cluster)}],
        "users": [{"name": "u", "user": dict(user or {"token": "t"})}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    with recorder(tmp_path_factory.mktemp("recorder")) as started:
        yield started


@pytest.fixture
def world(tmp_path: Path, server: Recorder, monkeypatch: pytest.MonkeyPatch) -> World:
    server.requests.clear()
    server.agents.clear()
    server.accepts = None
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("KUBE"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(connection, "PAUSES", ())
    return World(tmp_path, server)


def kubectl(world: World, flags: Flags) -> Seen | None:
    """What arrives from kubectl; None where it gives up before."""
    arguments = []
    for name in Flags.__dataclass_fields__:
        value = getattr(flags, name)
        option = ARGUMENTS.get(name, f"--{name.replace('_', '-')}")
        match value:
            case bool():
                arguments += [option] if value else []
            case tuple():
                arguments += [f"{option}={each}" for each in value]
            case str() if value:
                arguments.append(f"{option}={value}")
    before = len(world.server.requests)
    subprocess.run(
        ["kubectl", "get", "--raw", "/x?y=1", *arguments],
        env={**os.environ, **world.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )
    return arrived(world, before)


def ours(world: World, flags: Flags, monkeypatch: pytest.MonkeyPatch) -> Seen | None:
    """What arrives from us; None where we give up before."""
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    before = len(world.server.requests)
    with contextlib.suppress(NoCluster, Trouble):
        get(resolve(flags))
    return arrived(world, before)


def arrived(world: World, before: int) -> Seen | None:
    """The request that both make; the kubectl of gcloud asks for the version first."""
    seen = world.server.requests[before:]
    return next((each for each in seen if each.path.endswith("/x?y=1")), None)


def get(access: Access) -> None:
    with_deadline = Connection(access, deadline=Deadline(20))
    try:
        with_deadline.get("/x", {"y": "1"})
    finally:
        with_deadline.close()


# --- the table ---------------------------------------------------------------------------

Case = Callable[[World], Flags]
CASES: dict[str, Case] = {}


def case(make: Case) -> Case:
    CASES[make.__name__] = make
    return make


def one_file(world: World, content: Any, **flags: Any) -> Flags:
    return Flags(kubeconfig=str(world.write("config", content)), **flags)


@case
def a_token(w: World) -> Flags:
    return one_file(w, config(w.cluster(), {"token": "t"}))


@case
def a_token_file_beside_the_kubeconfig(w: World) -> Flags:
    w.write("deep/token", "from-file\n")
    path = w.write("deep/config", config(w.cluster(), {"tokenFile": "token"}))
    return Flags(kubeconfig=str(path))


@case
def a_relative_path_to_a_kubeconfig_with_relative_paths(w: World) -> Flags:
    w.write("deep/token", "from-file")
    (w.folder / "deep/ca.crt").write_bytes(w.server.ca_file.read_bytes())
    ca = {"certificate-authority": "./ca.crt", "certificate-authority-data": None}
    w.write("deep/config", config(w.cluster(**ca), {"tokenFile": "../deep/token"}))
    return Flags(kubeconfig="deep/config")


@case
def a_token_file_beats_a_token(w: World) -> Flags:
    w.write("token", "from-file")
    return one_file(w, config(w.cluster(), {"token": "t", "tokenFile": "token"}))


@case
def a_token_stands_in_for_a_token_file_that_is_gone(w: World) -> Flags:
    return one_file(w, config(w.cluster(), {"token": "t", "tokenFile": "gone"}))


@case
def a_token_file_that_is_gone(w: World) -> Flags:
    return one_file(w, config(w.cluster(), {"tokenFile": "gone"}))


@case
def an_empty_token_file(w: World) -> Flags:
    w.write("token", " \n")
    return one_file(w, config(w.cluster(), {"tokenFile": "token"}))


@case
def a_token_flag(w: World) -> Flags:
    return one_file(w, config(w.cluster(), {"token": "t"}), token="flag")


@case
def a_token_flag_for_a_user_with_a_token_file(w: World) -> Flags:
    w.write("token", "from-file")
    return one_file(w, config(w.cluster(), {"tokenFile": "token"}), token="flag")


@case
def a_password(w: World) -> Flags:
    return one_file(w, config(w.cluster(), {"username": "jane", "password": "pässword"}))


@case
def a_user_name_without_a_password(w: World) -> Flags:
    return one_file(w, config(w.cluster(), {"username": "jane"}))


@case
def a_password_and_a_token(w: World) -> Flags:
    return one_file(w, config(w.cluster(), {"username": "j", "password": "p", "token": "t"}))


@case
def a_token_flag_for_a_user_with_a_password(w: World) -> Flags:
    return one_file(w, config(w.cluster(), {"username": "j", "password": "p"}), token="flag")


def _inline(world: World) -> dict[str, str]:
    certificate, key = world.server.client_certificate("jane")
    return {
        "client-certificate-data": base64.b64encode(certificate.encode()).decode(),
        "client-key-data": base64.b64encode(key.encode()).decode(),
    }


def _in_files(world: World, name: str = "jane") -> dict[str, str]:
    certificate, key = world.server.client_certificate(name)
    world.write(f"{name}.crt", certificate)
    world.write(f"{name}.key", key)
    return {"client-certificate": f"{name}.crt", "client-key": f"{name}.key"}


@case
def an_inline_certificate(w: World) -> Flags:
    return one_file(w, config(w.cluster(), _inline(w)))


@case
def a_certificate_in_files(w: World) -> Flags:
    return one_file(w, config(w.cluster(), _in_files(w)))


@case
def a_certificate_and_a_token(w: World) -> Flags:
    return one_file(w, config(w.cluster(), {**_inline(w), "token": "t"}))


@case
def a_certificate_without_a_key(w: World) -> Flags:
    user = _in_files(w)
    del user["client-key"]
    return one_file(w, config(w.cluster(), user))


@case
def a_certificate_whose_file_is_gone(w: World) -> Flags:
    return one_file(w, config(w.cluster(), {**_in_files(w), "client-certificate": "gone"}))


@case
def a_certificate_twice(w: World) -> Flags:
    return one_file(w, config(w.cluster(), {**_in_files(w), **_inline(w)}))


@case
def a_certificate_with_the_key_of_another(w: World) -> Flags:
    first, second = _in_files(w), _in_files(w, "john")
    return one_file(w, config(w.cluster(), {**first, "client-key": second["client-key"]}))


@case
def a_certificate_that_is_not_base64(w: World) -> Flags:
    return one_file(w, config(w.cluster(), {**_inline(w), "client-key-data": "%%%"}))


@case
def impersonation(w: World) -> Flags:
    user = {
        "token": "t",
        "as": "jane",
        "as-uid": "42",
        "as-groups": ["a", "b"],
        "as-user-extra": {"example.com/scope": ["x", "y"], "Ü%": ["z"]},
    }
    return one_file(w, config(w.cluster(), user))


@case
def impersonation_flags(w: World) -> Flags:
    user = {"token": "t", "as": "jane", "as-groups": ["a"], "as-uid": "1"}
    return one_file(w, config(w.cluster(), user), as_user="john", as_groups=("x", "y"), as_uid="2")


@case
def another_user_to_impersonate_with_the_groups_of_the_file(w: World) -> Flags:
    user = {"token": "t", "as": "jane", "as-groups": ["a"]}
    return one_file(w, config(w.cluster(), user), as_user="system:serviceaccount:a:b")


@case
def a_name_to_impersonate_beyond_ascii(w: World) -> Flags:
    return one_file(w, config(w.cluster(), {"token": "t", "as": "jürgen"}))


@case
def groups_to_impersonate_without_a_user(w: World) -> Flags:
    return one_file(w, config(w.cluster(), {"token": "t"}), as_groups=("a",))


@case
def plain_http_gets_no_token(w: World) -> Flags:
    return one_file(w, config({"server": w.server.plain_url}, {"token": "t"}))


@case
def plain_http_gets_no_token_from_a_flag(w: World) -> Flags:
    return one_file(w, config({"server": w.server.plain_url}), token="flag")


@case
def plain_http_gets_no_password(w: World) -> Flags:
    return one_file(w, config({"server": w.server.plain_url}, {"username": "j", "password": "p"}))


@case
def plain_http_runs_no_plugin(w: World) -> Flags:
    plugin = _exec(w.plugin("plugin", {"token": "t"}))
    return one_file(w, config({"server": w.server.plain_url}, plugin))


@case
def plain_http_with_impersonation(w: World) -> Flags:
    return one_file(w, config({"server": w.server.plain_url}, {"token": "t", "as": "jane"}))


@case
def a_server_without_a_scheme(w: World) -> Flags:
    address = w.server.plain_url.removeprefix("http://")
    return one_file(w, config({"server": address}, {"token": "t"}))


@case
def a_server_with_a_slash(w: World) -> Flags:
    return one_file(w, config(w.cluster(server=f"{w.server.url}/"), {"token": "t"}))


@case
def a_server_by_name(w: World) -> Flags:
    return one_file(w, config(w.cluster(server=f"https://localhost:{w.server.port}")))


@case
def no_authority(w: World) -> Flags:
    return one_file(w, config({"server": w.server.url}, {"token": "t"}))


@case
def an_authority_twice(w: World) -> Flags:
    return one_file(w, config(w.cluster(**{"certificate-authority": str(w.server.ca_file)})))


@case
def an_authority_whose_file_is_gone(w: World) -> Flags:
    gone = {"certificate-authority": "gone", "certificate-authority-data": None}
    return one_file(w, config(w.cluster(**gone)))


@case
def an_authority_that_is_no_certificate(w: World) -> Flags:
    return one_file(w, config(w.cluster(**{"certificate-authority-data": "aGVsbG8="})))


@case
def an_authority_flag(w: World) -> Flags:
    return one_file(
        w,
        config(w.cluster(**{"certificate-authority-data": "aGVsbG8="}), {"token": "t"}),
        certificate_authority=str(w.server.ca_file),
    )


@case
def an_authority_flag_ends_insecurity(w: World) -> Flags:
    w.write("other.crt", w.server.client_certificate("x")[0])
    cluster = {"server": w.server.url, "insecure-skip-tls-verify": True}
    return one_file(w, config(cluster), certificate_authority="other.crt")


@case
def no_verification(w: World) -> Flags:
    cluster = {"server": w.server.url, "insecure-skip-tls-verify": True}
    return one_file(w, config(cluster, {"token": "t"}))


@case
def no_verification_beside_an_authority(w: World) -> Flags:
    return one_file(w, config(w.cluster(**{"insecure-skip-tls-verify": True}), {"token": "t"}))


@case
def a_flag_against_verification_beside_an_authority(w: World) -> Flags:
    return one_file(w, config(w.cluster(), {"token": "t"}), insecure_skip_tls_verify=True)


@case
def a_name_to_ask_for(w: World) -> Flags:
    return one_file(w, config(w.cluster(**{"tls-server-name": "other.example"})))


@case
def a_name_to_ask_for_that_the_certificate_lacks(w: World) -> Flags:
    return one_file(w, config(w.cluster(**{"tls-server-name": "wrong.example"})))


@case
def a_flag_with_the_name_to_ask_for(w: World) -> Flags:
    return one_file(
        w,
        config(w.cluster(**{"tls-server-name": "wrong.example"})),
        tls_server_name="other.example",
    )


@case
def another_server_does_not_keep_the_name_to_ask_for(w: World) -> Flags:
    return one_file(
        w,
        config(w.cluster(server="https://127.0.0.1:1", **{"tls-server-name": "other.example"})),
        server=w.server.url,
    )


@case
def a_proxy(w: World) -> Flags:
    return one_file(w, config(w.cluster(**{"proxy-url": w.server.proxy_url}), {"token": "t"}))


@case
def a_proxy_with_a_login(w: World) -> Flags:
    url = w.server.proxy_url.replace("http://", "http://jane:p%40ss@")
    return one_file(w, config(w.cluster(**{"proxy-url": url}), {"token": "t"}))


@case
def a_proxy_of_an_unknown_scheme(w: World) -> Flags:
    return one_file(w, config(w.cluster(**{"proxy-url": "ftp://127.0.0.1:1"})))


@case
def a_proxy_that_is_not_there(w: World) -> Flags:
    return one_file(w, config(w.cluster(**{"proxy-url": "http://127.0.0.1:1"})))


@case
def a_proxy_of_the_environment_is_not_for_this_machine(w: World) -> Flags:
    w.environment = {"HTTPS_PROXY": "http://127.0.0.1:1"}
    return one_file(w, config(w.cluster()))


@case
def a_proxy_of_the_environment(w: World) -> Flags:
    w.environment = {"https_proxy": w.server.proxy_url.removeprefix("http://")}
    return one_file(w, config(w.cluster(server="https://far.example:6443")))


def _bypass(name: str, entry: str) -> None:
    def make(w: World) -> Flags:
        w.environment = {"HTTPS_PROXY": w.server.proxy_url, "NO_PROXY": entry}
        return one_file(w, config(w.cluster(server="https://far.example:6443")))

    CASES[f"a_proxy_bypassed_by_{name}"] = make


# A name that is bypassed cannot be resolved here, and nothing arrives.
for name, entry in {
    "name": "localhost, far.example",
    "domain": "example",
    "dotted_domain": ".example",
    "star_domain": "*.example",
    "itself_dotted": ".far.example",
    "port": "far.example:6443",
    "other_port": "far.example:443",
    "all": "*",
    "part_of_a_label": "r.example",
    "nothing": "other.example,10.0.0.0/8",
}.items():
    _bypass(name, entry)


def _bypass_address(name: str, entry: str) -> None:
    def make(w: World) -> Flags:
        w.environment = {"HTTPS_PROXY": w.server.proxy_url, "NO_PROXY": entry}
        cluster = w.cluster(server="https://192.0.2.7:6443", **{"tls-server-name": "far.example"})
        return one_file(w, config(cluster))

    CASES[f"an_address_bypassed_by_{name}"] = make


for name, entry in {"other_network": "192.0.3.0/24", "other_port": "192.0.2.7:443"}.items():
    _bypass_address(name, entry)


@case
def several_files(w: World) -> Flags:
    first = config(w.cluster(), {"token": "first"})
    first["contexts"] = [{"name": "one", "context": {"cluster": "c", "user": "u"}}]
    first["current-context"] = "one"
    second = config({"server": "https://127.0.0.1:1"}, {"token": "second"})
    second["users"].append({"name": "v", "user": {"token": "v"}})
    second["contexts"][0]["context"]["user"] = "v"
    w.write("first", first)
    w.write("second", second)
    w.environment = {"KUBECONFIG": f"gone:{w.folder}/first::{w.folder}/second:first"}
    return Flags()


@case
def several_files_and_a_context_of_the_second(w: World) -> Flags:
    first = config(w.cluster(), {"token": "first"})
    second = config({"server": "https://127.0.0.1:1"}, {"token": "second"})
    second["contexts"].append({"name": "there", "context": {"cluster": "c", "user": "v"}})
    second["users"].append({"name": "v", "user": {"token": "v"}})
    w.write("first", first)
    w.write("second", second)
    w.environment = {"KUBECONFIG": "first:second"}
    return Flags(context="there")


@case
def entries_are_taken_whole_from_one_file(w: World) -> Flags:
    w.write("first", config(w.cluster(), {"token": "first"}))
    w.write("second", config(w.cluster(), {"token": "second", "as": "jane"}))
    w.environment = {"KUBECONFIG": "first:second"}
    return Flags()


@case
def a_current_context_only_in_the_second_file(w: World) -> Flags:
    first = config(w.cluster(), {"token": "first"})
    del first["current-context"]
    w.write("first", first)
    w.write("second", {"current-context": "here"})
    w.environment = {"KUBECONFIG": "first:second"}
    return Flags()


@case
def the_file_at_home(w: World) -> Flags:
    w.write(".kube/config", config(w.cluster(), {"token": "home"}))
    return Flags()


@case
def an_empty_kubeconfig_variable(w: World) -> Flags:
    w.write(".kube/config", config(w.cluster(), {"token": "home"}))
    w.environment = {"KUBECONFIG": ""}
    return Flags()


@case
def a_flag_beats_the_kubeconfig_variable(w: World) -> Flags:
    w.write("other", config(w.cluster(), {"token": "other"}))
    w.environment = {"KUBECONFIG": "other"}
    return one_file(w, config(w.cluster(), {"token": "flag"}))


@case
def a_kubeconfig_that_is_gone(w: World) -> Flags:
    w.write(".kube/config", config(w.cluster(), {"token": "home"}))
    return Flags(kubeconfig="gone")


@case
def a_kubeconfig_in_json(w: World) -> Flags:
    return one_file(w, json.dumps(config(w.cluster(), {"token": "t"})))


@case
def an_empty_kubeconfig_and_a_server(w: World) -> Flags:
    return one_file(w, "", server=w.server.plain_url)


@case
def no_kubeconfig_and_flags_for_everything(w: World) -> Flags:
    return Flags(server=w.server.url, certificate_authority=str(w.server.ca_file), token="flag")


@case
def another_context(w: World) -> Flags:
    content = config(w.cluster(), {"token": "t"})
    content["users"].append({"name": "v", "user": {"token": "v"}})
    content["contexts"].append({"name": "there", "context": {"cluster": "c", "user": "v"}})
    return one_file(w, content, context="there")


@case
def another_user(w: World) -> Flags:
    content = config(w.cluster(), {"token": "t"})
    content["users"].append({"name": "v", "user": {"token": "v"}})
    return one_file(w, content, user="v")


@case
def another_cluster(w: World) -> Flags:
    content = config({"server": "https://127.0.0.1:1"}, {"token": "t"})
    content["clusters"].append({"name": "d", "cluster": w.cluster()})
    return one_file(w, content, cluster="d")


@case
def a_context_that_is_not_there(w: World) -> Flags:
    return one_file(w, config(w.cluster(), {"token": "t"}), context="nowhere")


@case
def a_user_that_is_not_there(w: World) -> Flags:
    return one_file(w, config(w.cluster(), {"token": "t"}), user="nobody")


@case
def a_cluster_that_is_not_there(w: World) -> Flags:
    return one_file(w, config(w.cluster(), {"token": "t"}), cluster="nowhere")


@case
def a_current_context_that_is_not_there(w: World) -> Flags:
    return one_file(w, {**config(w.cluster()), "current-context": "nowhere"})


@case
def a_context_without_a_user(w: World) -> Flags:
    content = config(w.cluster(), {"token": "t"})
    del content["contexts"][0]["context"]["user"]
    return one_file(w, content, token="flag")


@case
def a_token_that_is_a_number(w: World) -> Flags:
    return one_file(w, config(w.cluster(), {"token": 12345}))


@case
def a_truth_in_quotes(w: World) -> Flags:
    return one_file(w, config(w.cluster(**{"insecure-skip-tls-verify": "true"})))


@case
def nulls(w: World) -> Flags:
    content = config(w.cluster(), {"token": "t", "exec": None, "as": None, "as-groups": None})
    content["extensions"] = content["preferences"] = None
    return one_file(w, content)


@case
def unknown_fields(w: World) -> Flags:
    return one_file(w, {**config(w.cluster(colour="blue"), {"token": "t"}), "more": [1]})


@case
def a_name_twice(w: World) -> Flags:
    content = config(w.cluster(), {"token": "t"})
    content["users"].append({"name": "u", "user": {"token": "second"}})
    return one_file(w, content)


@case
def another_kind(w: World) -> Flags:
    return one_file(w, {**config(w.cluster()), "kind": "Deployment", "apiVersion": "apps/v1"})


@case
def not_yaml(w: World) -> Flags:
    return one_file(w, "clusters: [")


@case
def binary(w: World) -> Flags:
    path = w.folder / "config"
    path.write_bytes(b"\x00\xff\xfe\x01")
    return Flags(kubeconfig=str(path))


@case
def a_list_where_the_file_should_be(w: World) -> Flags:
    return one_file(w, "- a\n- b\n")


@case
def an_auth_provider(w: World) -> Flags:
    provider = {"auth-provider": {"name": "gcp", "config": {"access-token": "t"}}}
    return one_file(w, config(w.cluster(), provider))


# --- exec plugins ------------------------------------------------------------------------


def _exec(command: Path | str, /, version: str = "v1", **more: Any) -> dict[str, Any]:
    plugin = {
        "command": str(command),
        "apiVersion": f"client.authentication.k8s.io/{version}",
        "interactiveMode": "Never",
        **more,
    }
    return {"exec": {key: value for key, value in plugin.items() if value is not None}}


@case
def a_plugin_with_a_token(w: World) -> Flags:
    return one_file(w, config(w.cluster(), _exec(w.plugin("plugin", {"token": "p"}))))


@case
def a_plugin_of_the_old_version_without_a_mode(w: World) -> Flags:
    plugin = w.plugin("plugin", {"token": "p"}, "v1beta1")
    return one_file(w, config(w.cluster(), _exec(plugin, "v1beta1", interactiveMode=None)))


@case
def a_plugin_without_a_mode(w: World) -> Flags:
    plugin = w.plugin("plugin", {"token": "p"})
    return one_file(w, config(w.cluster(), _exec(plugin, interactiveMode=None)))


@case
def a_plugin_of_a_version_before_all(w: World) -> Flags:
    plugin = w.plugin("plugin", {"token": "p"}, "v1alpha1")
    return one_file(w, config(w.cluster(), _exec(plugin, "v1alpha1")))


@case
def a_plugin_that_uses_a_terminal_if_there_is_one(w: World) -> Flags:
    plugin = w.plugin("plugin", {"token": "p"})
    return one_file(w, config(w.cluster(), _exec(plugin, interactiveMode="IfAvailable")))


@case
def a_plugin_that_needs_a_terminal(w: World) -> Flags:
    plugin = w.plugin("plugin", {"token": "p"})
    return one_file(w, config(w.cluster(), _exec(plugin, interactiveMode="Always")))


@case
def a_plugin_beside_the_kubeconfig(w: World) -> Flags:
    w.plugin("bin/plugin", {"token": "p"})
    path = w.write("deep/config", config(w.cluster(), _exec("../bin/plugin")))
    return Flags(kubeconfig=str(path))


@case
def a_plugin_on_the_path(w: World) -> Flags:
    w.plugin("bin/my-plugin", {"token": "p"})
    w.environment = {"PATH": f"{w.folder}/bin:{os.environ['PATH']}"}
    return one_file(w, config(w.cluster(), _exec("my-plugin")))


@case
def a_plugin_that_is_not_installed(w: World) -> Flags:
    return one_file(w, config(w.cluster(), _exec("no-such-plugin", installHint="get it")))


@case
def a_plugin_that_may_not_be_run(w: World) -> Flags:
    path = w.plugin("plugin", {"token": "p"})
    path.chmod(0o644)
    return one_file(w, config(w.cluster(), _exec(path)))


@case
def a_plugin_with_a_certificate(w: World) -> Flags:
    certificate, key = w.server.client_certificate("plugged")
    status = {"clientCertificateData": certificate, "clientKeyData": key}
    return one_file(w, config(w.cluster(), _exec(w.plugin("plugin", status))))


@case
def a_plugin_with_half_a_certificate(w: World) -> Flags:
    status = {"clientCertificateData": w.server.client_certificate("plugged")[0]}
    return one_file(w, config(w.cluster(), _exec(w.plugin("plugin", status))))


@case
def a_plugin_with_arguments_and_environment(w: World) -> Flags:
    script = w.script(
        "plugin",
        'printf \'{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",'
        '"status":{"token":"%s-%s-%s"}}\' "$1" "$WHAT" "$GIVEN"',
    )
    w.environment = {"GIVEN": "outer", "WHAT": "outer"}
    variables = [{"name": "WHAT", "value": "inner"}]
    return one_file(w, config(w.cluster(), _exec(script, args=["one"], env=variables)))


@case
def a_plugin_that_is_told_about_the_cluster(w: World) -> Flags:
    cluster = w.cluster(
        **{
            "tls-server-name": "other.example",
            "disable-compression": True,
            "extensions": [
                {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "a"}},
                {"name": "other", "extension": {"x": 1}},
            ],
        }
    )
    plugin = w.plugin("plugin", {"token": "p"})
    return one_file(w, config(cluster, _exec(plugin, provideClusterInfo=True)))


@case
def a_plugin_that_is_told_of_an_authority_in_a_file(w: World) -> Flags:
    cluster = {"server": w.server.url, "certificate-authority": str(w.server.ca_file)}
    plugin = w.plugin("plugin", {"token": "p"})
    return one_file(w, config(cluster, _exec(plugin, provideClusterInfo=True)))


@case
def a_token_flag_keeps_the_plugin_from_running(w: World) -> Flags:
    plugin = w.script("plugin", "exit 1")
    return one_file(w, config(w.cluster(), _exec(plugin)), token="flag")


@case
def a_certificate_keeps_the_plugin_from_running(w: World) -> Flags:
    plugin = w.script("plugin", "exit 1")
    return one_file(w, config(w.cluster(), {**_inline(w), **_exec(plugin)}))


@case
def a_plugin_beside_an_auth_provider(w: World) -> Flags:
    provider = {"auth-provider": {"name": "gcp"}}
    plugin = w.plugin("plugin", {"token": "p"})
    return one_file(w, config(w.cluster(), {**provider, **_exec(plugin)}))


@case
def a_plugin_without_a_command(w: World) -> Flags:
    return one_file(w, config(w.cluster(), _exec("")))


@case
def a_plugin_variable_without_a_name(w: World) -> Flags:
    plugin = w.plugin("plugin", {"token": "p"})
    return one_file(w, config(w.cluster(), _exec(plugin, env=[{"name": "", "value": "x"}])))


def _prints(name: str, text: str, status: int = 0) -> None:
    def make(w: World) -> Flags:
        plugin = w.script("plugin", f"cat <<'END'\n{text}\nEND\nexit {status}")
        return one_file(w, config(w.cluster(), _exec(plugin)))

    CASES[f"a_plugin_that_prints_{name}"] = make


_HEAD = '"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential"'
_prints("nothing", "")
_prints("no_json", "token=abc")
_prints("no_status", f"{{{_HEAD}}}")
_prints("an_empty_status", f'{{{_HEAD},"status":{{}}}}')
_prints("another_version", f'{{{_HEAD.replace("/v1", "/v1beta1")},"status":{{"token":"p"}}}}')
_prints("another_kind", f'{{{_HEAD.replace("ExecC", "C")},"status":{{"token":"p"}}}}')
_prints("a_token_and_fails", f'{{{_HEAD},"status":{{"token":"p"}}}}', status=3)
_prints(
    "a_token_for_an_hour",
    f'{{{_HEAD},"status":{{"token":"p","expirationTimestamp":"2099-01-01T00:00:00Z"}}}}',
)
_prints(
    "a_token_that_has_run_out",
    f'{{{_HEAD},"status":{{"token":"p","expirationTimestamp":"2020-01-01T00:00:00Z"}}}}',
)
_prints("no_time", f'{{{_HEAD},"status":{{"token":"p","expirationTimestamp":"soon"}}}}')


@pytest.mark.slow
@needs_kubectl
@pytest.mark.parametrize("make", CASES.values(), ids=CASES.keys())
def test_what_arrives_is_what_arrives_from_kubectl(
    make: Case, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = make(world)

    theirs, told = kubectl(world, flags), _asked(world)
    our, we_told = ours(world, flags, monkeypatch), _asked(world)

    assert our == theirs
    assert we_told == told


def _asked(world: World) -> Any:
    """The question that the plugin was asked, and forget it."""
    asked = world.folder / "asked.json"
    if not asked.exists():
        return None
    question = json.loads(asked.read_text())
    asked.unlink()
    return question


@needs_kubectl
def test_the_table_does_not_compare_nothing_with_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = kubectl(world, a_certificate_and_a_token(world))

    assert seen == Seen("https", "/x?y=1", ("Bearer t",), client="jane")


@needs_kubectl
@pytest.mark.parametrize("path", ["/k8s/clusters/c-1", "/k8s/", "/"])
def test_a_server_behind_a_path(world: World, path: str) -> None:
    """`kubectl get --raw` drops the path; everything else keeps it."""
    flags = one_file(world, config(world.cluster(server=f"{world.server.url}{path}")))
    command = ["kubectl", "api-versions", f"--kubeconfig={flags.kubeconfig}", "--cache-dir=cache"]
    subprocess.run(command, capture_output=True, timeout=30, check=False)
    theirs = {seen.path.partition("?")[0] for seen in world.server.requests}
    world.server.requests.clear()

    link = Connection(resolve(flags), deadline=Deadline(20))
    link.get("/api")
    link.close()

    assert world.server.requests[0].path in theirs


def test_certificate_flags_replace_an_inline_certificate(world: World) -> None:
    """client-go 0.36; kubectl before 1.34 called it a conflict."""
    files = _in_files(world, "john")
    flags = one_file(
        world,
        config(world.cluster(), _inline(world)),
        client_certificate=files["client-certificate"],
        client_key=files["client-key"],
    )

    get(resolve(flags))

    assert world.server.requests[0].client == "john"


# --- merging, at random ------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b"])
FILES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "current-context": st.sampled_from(["", "a", "b"]),
            "clusters": st.dictionaries(
                NAMES,
                st.fixed_dictionaries(
                    {"server": st.sampled_from(["https://one:1", "https://two:2"])},
                    optional={
                        "tls-server-name": st.just("name"),
                        "proxy-url": st.just("http://p:1"),
                    },
                ),
            ),
            "users": st.dictionaries(
                NAMES,
                st.fixed_dictionaries(
                    {},
                    optional={
                        "token": st.sampled_from(["x", "y"]),
                        "as": st.just("jane"),
                        "as-groups": st.just(["g"]),
                    },
                ),
            ),
            "contexts": st.dictionaries(
                NAMES,
                st.fixed_dictionaries(
                    {"cluster": NAMES, "user": NAMES}, optional={"namespace": st.just("ns")}
                ),
            ),
        },
    ),
    min_size=1,
    max_size=3,
)


@pytest.mark.slow
@needs_kubectl
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(files=FILES, context=st.sampled_from(["", "a"]))
def test_files_are_merged_as_kubectl_merges_them(
    files: list[dict[str, Any]], context: str, world: World
) -> None:
    for number, content in enumerate(files):
        listed = {
            f"{key}s": [{"name": n, key: each} for n, each in content.get(f"{key}s", {}).items()]
            for key in ("cluster", "user", "context")
        }
        world.write(f"file{number}", content | listed)
    variable = ":".join(f"file{number}" for number in range(len(files)))
    command = ["kubectl", "config", "view", "--minify", "--raw", "-o", "json"]
    done = subprocess.run(
        [*command, *([f"--context={context}"] if context else [])],
        env={**os.environ, "KUBECONFIG": variable},
        capture_output=True,
        timeout=30,
        check=False,
    )

    try:
        access = resolve(
            Flags(context=context), environ={"KUBECONFIG": variable, "HOME": str(world.folder)}
        )
    except NoCluster:
        # kubectl shows a context whose cluster or user is missing; we want no part of it.
        shown = json.loads(done.stdout or "{}")
        assert done.returncode or not (shown["clusters"] and shown["users"]) or _ungrounded(shown)
        return
    shown = json.loads(done.stdout)
    (cluster,), (user,) = shown["clusters"], shown["users"]
    assert access.context == shown["current-context"]
    assert access.server == cluster["cluster"]["server"]
    assert access.cluster.tls_server_name == cluster["cluster"].get("tls-server-name", "")
    assert access.cluster.proxy_url == cluster["cluster"].get("proxy-url", "")
    assert access.user.token == user["user"].get("token", "")
    assert access.user.as_user == user["user"].get("as", "")
    assert access.user.as_groups == user["user"].get("as-groups", [])
    assert access.namespace == shown["contexts"][0]["context"].get("namespace", "default")


def _ungrounded(shown: Any) -> bool:
    """as-groups without as: shown, but not used."""
    user = shown["users"][0]["user"]
    return "as-groups" in user and "as" not in user


# --- what kubectl does otherwise, on purpose ---------------------------------------------


@pytest.mark.parametrize("what", ["cluster", "user"])
def test_a_context_that_names_something_that_is_not_there_is_an_error(
    world: World, what: str
) -> None:
    content = config(world.cluster())
    content["contexts"][0]["context"][what] = "gone"
    flags = one_file(world, content)

    with pytest.raises(
        NoCluster, match=rf"{what} 'gone' of context 'here' does not exist in .*config"
    ):
        resolve(flags)


def test_without_any_kubeconfig_nothing_is_guessed(world: World) -> None:
    with pytest.raises(NoCluster, match=r"no kubeconfig found \(looked at .*\.kube/config\)"):
        resolve(Flags())


def test_without_a_current_context_the_others_are_named(world: World) -> None:
    content = config(world.cluster())
    del content["current-context"]

    with pytest.raises(NoCluster, match=r"no current-context is set .* there is here"):
        resolve(one_file(world, content))


def test_without_a_login_we_go_as_nobody_and_ask_no_question(world: World) -> None:
    content = config(world.cluster())
    content["users"][0]["user"] = {}
    get(resolve(one_file(world, content)))

    assert world.server.requests == [Seen("https", "/x?y=1")]


# --- errors name file and field ----------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "cluster", "told"),
    [
        ({"token": 5}, {}, r"users\[0\].user.token: Expected `str`, got `int`"),
        ({"client-certificate": "gone", "client-key": "k"}, {}, r"users\[0\] \(u\): client-certificate .*gone: No such file"),
        ({"token": "t", "username": "u"}, {}, r"users\[0\] \(u\): both token and username"),
        ({"auth-provider": {"name": "oidc"}}, {}, r"users\[0\] \(u\): auth-provider 'oidc'"),
        (_exec("nope", installHint="brew install \x1b[2Jnope"), {}, r"users\[0\] \(u\): exec plugin nope: there is no such program.*\n.*brew install U\+001B\[2Jnope"),
        ({}, {"certificate-authority": "x"}, r"clusters\[0\] \(c\): both certificate-authority and"),
        ({}, {"server": "https://"}, r"clusters\[0\] \(c\): server 'https://' is not the URL"),
        ({}, {"server": "https://a:b"}, r"clusters\[0\] \(c\): server 'https://a:b'"),
        ({}, {"certificate-authority-data": "%"}, r"clusters\[0\] \(c\): certificate-authority-data is not valid base64"),
    ],
)  # fmt: skip
def test_an_error_names_file_and_field(
    world: World, user: Mapping[str, Any], cluster: Mapping[str, Any], told: str
) -> None:
    flags = one_file(world, config(world.cluster(**cluster), user))

    with pytest.raises(NoCluster, match=f"kubeconfig .*config: {told}"):
        get(resolve(flags))


def test_a_socks_proxy_without_the_package_for_it_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socks", None)
    monkeypatch.delitem(sys.modules, "urllib3.contrib.socks", raising=False)
    cluster = world.cluster(**{"proxy-url": "socks5://jane:secret@127.0.0.1:1"})

    with pytest.raises(
        NoCluster, match=r"clusters\[0\] \(c\): .*proxy socks5://127.0.0.1:1"
    ) as told:
        get(resolve(one_file(world, config(cluster))))

    assert "secret" not in str(told.value)


def test_broken_yaml_is_named_with_its_line(world: World) -> None:
    with pytest.raises(NoCluster, match=r"kubeconfig .*config, line 3: "):
        resolve(one_file(world, "clusters:\n- name: c\n  name: d\n"))


def test_nothing_secret_is_shown(world: World) -> None:
    user = {"token": "s3cret", "as": "jane"}
    access = resolve(one_file(world, config(world.cluster(), user), token="s3cret"))
    proof = credentials.Credentials(access).proof()

    assert "s3cret" in proof.authorization
    for shown in (access, access.user, proof, Flags(token="s3cret")):
        assert "s3cret" not in repr(shown)


def test_a_plugin_that_prints_garbage_is_not_quoted(world: World) -> None:
    plugin = world.script("plugin", "echo token: s3cret")

    with pytest.raises(NoCluster) as caught:
        get(resolve(one_file(world, config(world.cluster(), _exec(plugin)))))

    assert "s3cret" not in str(caught.value)


# --- while it runs -----------------------------------------------------------------------


def test_user_agent(world: World) -> None:
    get(resolve(one_file(world, config(world.cluster()))))

    assert world.server.agents == [f"gwdoctor/{__version__}"]


def test_a_token_file_is_read_again_when_its_token_is_refused(world: World) -> None:
    token = world.write("token", "old")
    access = resolve(one_file(world, config(world.cluster(), {"tokenFile": "token"})))
    link = Connection(access, deadline=Deadline(20))
    link.get("/x")

    token.write_text("new")
    world.server.accepts = {"Bearer new"}
    link.get("/x")

    assert [seen.authorization[0] for seen in world.server.requests] == [
        "Bearer old",
        "Bearer old",
        "Bearer new",
    ]
    link.close()


def test_a_token_file_is_read_again_after_a_while(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "TOKEN_FILE_SECONDS", 0)
    token = world.write("token", "old")
    access = resolve(one_file(world, config(world.cluster(), {"tokenFile": "token"})))
    link = Connection(access, deadline=Deadline(20))
    link.get("/x")

    token.write_text("new")
    link.get("/x")

    assert [seen.authorization[0] for seen in world.server.requests] == ["Bearer old", "Bearer new"]
    link.close()


def test_a_plugin_runs_once_and_again_when_its_token_is_refused(world: World) -> None:
    plugin = world.plugin("plugin", {"token": "p"})
    link = Connection(
        resolve(one_file(world, config(world.cluster(), _exec(plugin)))), deadline=Deadline(20)
    )
    for _ in range(3):
        link.get("/x")
    assert world.runs == 1

    world.server.accepts = {"Bearer better"}
    with pytest.raises(Trouble, match="401"):
        link.get("/x")  # the same token comes back: asking a third time would not help
    assert world.runs == 2

    world.plugin("plugin", {"token": "better"})
    link.get("/x")
    assert world.runs == 3
    link.close()


def test_a_new_certificate_from_a_plugin_gets_new_connections(world: World) -> None:
    def plugin(name: str, token: str) -> Path:
        certificate, key = world.server.client_certificate(name)
        status = {"clientCertificateData": certificate, "clientKeyData": key, "token": token}
        return world.plugin("plugin", status)

    path = plugin("first", "old")
    link = Connection(
        resolve(one_file(world, config(world.cluster(), _exec(path)))), deadline=Deadline(20)
    )
    link.get("/x")
    plugin("second", "new")
    world.server.accepts = {"Bearer new"}

    link.get("/x")

    assert [seen.client for seen in world.server.requests] == ["first", "first", "second"]
    link.close()


def test_a_plugin_that_hangs_is_ended_at_the_deadline(world: World) -> None:
    plugin = world.script("plugin", "exec sleep 60")
    access = resolve(one_file(world, config(world.cluster(), _exec(plugin))))

    link = Connection(access, deadline=Deadline(0.5))
    with pytest.raises(NoCluster, match="when the deadline of the run came"):
        link.get("/x")


def test_a_key_is_never_in_a_file_that_has_a_name(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """So that none stays where we are killed at the worst moment."""
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    there: list[list[Path]] = []
    modes: list[int] = []
    load = ssl.SSLContext.load_cert_chain

    def watched(context: ssl.SSLContext, *files: str, **more: Any) -> None:
        there.append(list(scratch.rglob("*")))
        modes.extend(stat.S_IMODE(os.stat(file).st_mode) for file in files)
        load(context, *files, **more)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watched)
    get(resolve(one_file(world, config(world.cluster(), _inline(world)))))

    assert world.server.requests[0].client == "jane"
    assert there == [[]]
    assert modes == [0o600, 0o600]
    assert list(scratch.iterdir()) == []


def test_a_plugin_runs_as_silently_as_with_kubectl(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    """kubectl does not say that it runs one; what the plugin says on stderr is heard, at both."""
    answer = world.plugin("quiet", {"token": "t"})
    plugin = world.script("loud", f"echo 'log in at https://login.example' >&2\nexec {answer}")
    path = world.folder / "exec.kubeconfig"
    path.write_text(json.dumps(config(world.cluster(), _exec(str(plugin)))))
    said = subprocess.run(
        ["kubectl", "get", "--raw", "/x", f"--kubeconfig={path}"],
        env={**os.environ, **world.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    ).stderr
    by_kubectl = world.runs

    get(resolve(Flags(kubeconfig=str(path))))

    told = capfd.readouterr()
    assert by_kubectl
    assert world.runs > by_kubectl
    assert (
        set(said.splitlines()) == set(told.err.splitlines()) == {"log in at https://login.example"}
    )
    assert told.out == ""


def test_a_key_with_a_password_is_named(world: World) -> None:
    from cryptography.hazmat.primitives import serialization

    certificate, key = world.server.client_certificate("jane")
    locked = serialization.load_pem_private_key(key.encode(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"x"),
    )
    world.write("jane.crt", certificate)
    (world.folder / "jane.key").write_bytes(locked)
    user = {"client-certificate": "jane.crt", "client-key": "jane.key"}

    with pytest.raises(NoCluster, match="client-key is protected by a password"):
        get(resolve(one_file(world, config(world.cluster(), user))))


# --- inside a Pod ------------------------------------------------------------------------


@pytest.fixture
def pod(world: World) -> tuple[dict[str, str], Path]:
    """The environment of a Pod, and where its ServiceAccount is."""
    account = world.folder / "serviceaccount"
    world.write("serviceaccount/token", "of-the-pod")
    world.write("serviceaccount/namespace", "there\n")
    (account / "ca.crt").write_bytes(world.server.ca_file.read_bytes())
    environ = {
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(world.server.port),
    }
    return environ, account


def test_in_a_pod_its_service_account_is_used(
    world: World, pod: tuple[dict[str, str], Path]
) -> None:
    environ, account = pod

    access = resolve(Flags(as_user="jane"), environ=environ, service_account=account)
    get(access)

    assert (access.context, access.namespace) == ("in-cluster", "there")
    assert world.server.requests[0].authorization == ("Bearer of-the-pod",)
    assert world.server.requests[0].impersonation == (("Impersonate-User", "jane"),)


def test_in_a_pod_a_kubeconfig_comes_first(world: World, pod: tuple[dict[str, str], Path]) -> None:
    environ, account = pod
    flags = one_file(world, config(world.cluster(), {"token": "t"}))

    access = resolve(flags, environ=environ, service_account=account)

    assert (access.context, access.user.token) == ("here", "t")
    assert access.namespace == "there"  # the context names none; kubectl takes that of the Pod


def test_in_a_pod_flags_replace_what_they_name(
    world: World, pod: tuple[dict[str, str], Path]
) -> None:
    environ, account = pod

    access = resolve(Flags(token="flag"), environ=environ, service_account=account)
    get(access)

    assert world.server.requests[0].authorization == ("Bearer flag",)


def test_half_a_pod_is_no_pod(world: World, pod: tuple[dict[str, str], Path]) -> None:
    environ, account = pod
    (account / "token").unlink()

    with pytest.raises(NoCluster, match="this is no Pod"):
        resolve(Flags(), environ=environ, service_account=account)
