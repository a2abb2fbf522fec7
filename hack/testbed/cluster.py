"""A running cluster that tests and scripts write to: ours, or one that somebody else owns."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

from testbed.client import Answer, Client, Manifest

PREFIX = "gwdoctor-test-"
"""Names of namespaces that tests make start so: nothing else is theirs in a cluster of others."""

APPLY = "application/apply-patch+yaml"
_WRITTEN_BY_THE_SERVER = ("managedFields", "resourceVersion", "uid", "generation")
_FIRST = {"Namespace": 0, "CustomResourceDefinition": 1}


class Refused(Exception):
    """The server does not take an object; the message is the server's."""

    def __init__(self, what: str, answer: Answer) -> None:
        super().__init__(f"{what}: {answer.status}: {answer.message}")
        self.status = answer.status
        self.message = answer.message


@dataclass(frozen=True)
class Resource:
    """A kind as the server serves it."""

    collection: str
    """The path before `/namespaces/NAME`."""
    plural: str
    namespaced: bool
    has_status: bool

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """The URL path of the collection or, with a name, of one object."""
        inside = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{self.collection}{inside}/{self.plural}" + (f"/{name}" if name else "")


class Cluster:
    """A cluster that a kubeconfig leads to."""

    ours = False
    """Whether we may write outside the namespaces of tests."""

    patience = 2.0
    """How many seconds a namespace controller has for a sign of life, before we do its work."""

    def __init__(self, kubeconfig: Path, client: Client, *, ca_file: Path | None) -> None:
        self.kubeconfig = kubeconfig
        self.client = client
        self.ca_file = ca_file
        self._resources: dict[tuple[str, str], Resource] = {}

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return self.client.server

    def request(
        self, method: str, path: str, body: object = None, *, query: Mapping[str, str] | None = None
    ) -> Manifest:
        """Ask the server and take no for an exception."""
        answer = self.client.request(method, path, body, query=query)
        if not answer.ok:
            raise Refused(f"{method} {path}", answer)
        return answer.json()

    def apply(
        self,
        manifests: str | Path | Iterable[Manifest],
        *,
        status: bool = False,
        field_manager: str = "gwdoctor-test",
    ) -> tuple[Manifest, ...]:
        """Server-side apply: YAML text, a YAML file, a folder of them, or objects.

        Namespaces that are missing are made. With `status`, each object's status is written as well,
        as its controller would. The server refuses fields that it does not know. The result is what it
        made of the objects.
        """
        objects = list(_objects_in(manifests))
        if not self.ours:
            self._only_namespaces_of_tests(objects)
        objects.sort(key=lambda each: _FIRST.get(each["kind"], 2))
        return tuple(self._apply(each, status, field_manager) for each in objects)

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Manifest:
        """One object as the server has it."""
        return self.request("GET", self.resource(api_version, kind).path(namespace, name))

    def items(self, api_version: str, kind: str, namespace: str | None = None) -> list[Manifest]:
        """All objects of a kind, in one namespace or in all."""
        path = self.resource(api_version, kind).path(namespace)
        found: list[Manifest] = []
        following = ""
        while True:
            # A page is read past the server's cache, which may not be up yet for a kind that is new.
            answer = self.request("GET", path, query={"limit": "500", "continue": following})
            found += answer["items"]
            following = answer["metadata"].get("continue", "")
            if not following:
                return found

    def define(self, definitions: Mapping[str, bytes]) -> None:
        """Create these CRDs, unless they are there, and wait until their kinds are served."""
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        with ThreadPoolExecutor(8) as pool:
            answers = pool.map(
                lambda body: self.client.request("POST", path, body), definitions.values()
            )
            for name, answer in zip(definitions, answers, strict=True):
                if not answer.ok and answer.status != 409:
                    raise Refused(f"CustomResourceDefinition {name}", answer)
        self.wait_until_served(definitions)

    def wait_until_served(self, definitions: Mapping[str, bytes]) -> None:
        """Wait until the server serves the kinds of these CRDs, which takes a busy one a while."""
        for definition in map(json.loads, definitions.values()):
            spec = definition["spec"]
            for version in spec["versions"]:
                if version["served"]:
                    api_version = f"{spec['group']}/{version['name']}"
                    self.resource(api_version, spec["names"]["kind"], patience=90)

    def create_namespace(self, name: str) -> None:
        """Make a namespace, unless it is there."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        answer = self.client.request("POST", "/api/v1/namespaces", body)
        if not answer.ok and answer.status != 409:
            raise Refused(f"Namespace {name}", answer)

    def delete_namespaces(self, names: Iterable[str], *, timeout: float = 120) -> None:
        """Delete namespaces with all that is in them and wait until they are gone."""
        with ThreadPoolExecutor(4) as pool:
            for _ in pool.map(lambda name: self._delete_namespace(name, timeout), names):
                pass

    def resource(self, api_version: str, kind: str, *, patience: float = 5) -> Resource:
        """Where the server serves a kind; waits a little for a definition that is only just there."""
        deadline = time.monotonic() + patience
        while (api_version, kind) not in self._resources:
            self._discover(api_version)
            if (api_version, kind) in self._resources:
                break
            if time.monotonic() > deadline:
                raise LookupError(f"{self.server} serves no {kind} of {api_version}")
            time.sleep(0.1)
        return self._resources[api_version, kind]

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _only_namespaces_of_tests(self, objects: Iterable[Manifest]) -> None:
        """In a cluster of others, nothing else is written at all."""
        for each in objects:
            metadata = each["metadata"]
            namespace = (
                metadata["name"] if each["kind"] == "Namespace" else metadata.get("namespace")
            )
            if not str(namespace).startswith(PREFIX):
                raise PermissionError(
                    f"{each['kind']} {metadata['name']} is not in a namespace {PREFIX}*, and "
                    f"{self.server} is not a control plane of the test bed"
                )

    def _apply(self, wanted: Manifest, status: bool, field_manager: str) -> Manifest:
        resource = self.resource(wanted["apiVersion"], wanted["kind"])
        metadata = {
            key: value
            for key, value in wanted["metadata"].items()
            if key not in _WRITTEN_BY_THE_SERVER
        }
        if resource.namespaced:
            metadata.setdefault("namespace", "default")
        body = {**wanted, "metadata": metadata}
        state = body.pop("status", None) if resource.has_status else None
        path = resource.path(metadata.get("namespace"), metadata["name"])
        answer = self._patch(path, body, field_manager)
        if answer.status == 404 and resource.namespaced:
            self.create_namespace(metadata["namespace"])
            answer = self._patch(path, body, field_manager)
        if answer.ok and status and state is not None:
            identity = {key: metadata[key] for key in ("name", "namespace") if key in metadata}
            body = {
                "apiVersion": wanted["apiVersion"],
                "kind": wanted["kind"],
                "metadata": identity,
                "status": state,
            }
            answer = self._patch(f"{path}/status", body, f"{field_manager}-status")
        if not answer.ok:
            raise Refused(f"{wanted['kind']} {metadata['name']}", answer)
        return answer.json()

    def _patch(self, path: str, body: Manifest, field_manager: str) -> Answer:
        query = {"fieldManager": field_manager, "force": "true"}
        return self.client.request("PATCH", path, body, content_type=APPLY, query=query)

    def _discover(self, api_version: str) -> None:
        collection = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        answer = self.client.request("GET", collection)
        if not answer.ok:
            return
        served = {each["name"]: each for each in answer.json()["resources"]}
        for name, each in served.items():
            if "/" not in name:
                has_status = f"{name}/status" in served
                resource = Resource(collection, name, each["namespaced"], has_status)
                self._resources[api_version, each["kind"]] = resource

    def _delete_namespace(self, name: str, timeout: float) -> None:
        path = f"/api/v1/namespaces/{name}"
        deadline, patience = time.monotonic() + timeout, time.monotonic() + self.patience
        self.client.request("DELETE", path)
        while (answer := self.client.request("GET", path)).status != 404:
            if time.monotonic() > deadline:
                raise TimeoutError(f"namespace {name} is not gone after {timeout:.0f} s")
            # A controller leaves its mark in the status at once. Where there is none (a control plane
            # of ours that is reached by its kubeconfig), its work is left to us.
            if time.monotonic() > patience and not answer.json()["status"].get("conditions"):
                self._empty(name)
                self.client.request("PUT", f"{path}/finalize", _without_finalizers(answer.json()))
            time.sleep(0.1)

    def _empty(self, namespace: str) -> None:
        self._discover("v1")
        for group in self.request("GET", "/apis")["groups"]:
            self._discover(group["preferredVersion"]["groupVersion"])
        for resource in set(self._resources.values()):
            if resource.namespaced:
                self.client.request("DELETE", resource.path(namespace))


def _without_finalizers(namespace: Manifest) -> Manifest:
    return {**namespace, "spec": {**namespace.get("spec", {}), "finalizers": []}}


def _objects_in(manifests: str | Path | Iterable[Manifest]) -> Iterable[Manifest]:
    match manifests:
        case Path() if manifests.is_dir():
            for file in sorted(manifests.glob("*.y*ml")):
                yield from _objects_in(file)
        case Path():
            yield from _objects_in(manifests.read_text())
        case str():
            yield from _objects_in(yaml.load_all(manifests, Loader=yaml.CSafeLoader))
        case _:
            for each in manifests:
                if each and str(each.get("kind", "")).endswith("List") and "items" in each:
                    yield from _objects_in(each["items"])
                elif each:
                    yield each
