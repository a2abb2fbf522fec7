"""What the present user may read: asked of the API server, which knows every rule and webhook."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import msgspec

from gwdoctor.kinds import READINGS
from gwdoctor.model import Kind
from gwdoctor.source.connection import Connection, Trouble
from gwdoctor.source.crew import Crew
from gwdoctor.source.discovery import Discovery

_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_CONNECTIONS = 8


class _Answer(msgspec.Struct):
    allowed: bool


class _Review(msgspec.Struct):
    status: _Answer


_REVIEWED = msgspec.json.Decoder(_Review)  # worked out before threads use it: see `discovery`


class Permissions:
    """The rights of one user in one cluster.

    One question for each kind and verb, several at a time. The list of all rules
    (SelfSubjectRulesReview) would be one question, but it does not tell rights in one namespace
    from those in all, and leaves out what a webhook decides.
    """

    def __init__(self, connection: Connection, discovery: Discovery) -> None:
        self._connection = connection
        self._discovery = discovery

    def is_installed(self, kind: Kind) -> bool:
        """Whether the server knows this kind; where it does not, there is nothing to read."""
        return kind not in self._discovery.missing

    def lacking(
        self, verbs_of: Mapping[Kind, Collection[str]], namespaces: Collection[str] | None
    ) -> dict[Kind, list[str]]:
        """What may not be read of these kinds: verbs, each with its namespace where some are named.

        None for all namespaces. Raises Trouble where the server does not answer.
        """
        lacking: dict[Kind, list[str]] = {}
        with Crew[tuple[Kind, str, str], bool](_CONNECTIONS, self._connection.deadline) as crew:
            asked = 0
            for kind, verbs in verbs_of.items():
                for namespace in self._places(kind, namespaces):
                    for verb in verbs:
                        job = partial(self._may, kind, verb, namespace)
                        crew.submit((kind, verb, namespace), job)
                        asked += 1
            for (kind, verb, namespace), outcome in crew.outcomes():
                asked -= 1
                if isinstance(outcome, Exception):
                    raise outcome
                if not outcome:
                    where = f"{verb} in {namespace}" if namespace else verb
                    lacking.setdefault(kind, []).append(where)
        if asked:
            raise Trouble("the deadline of the run (--timeout) came first")
        return {kind: sorted(verbs) for kind, verbs in sorted(lacking.items())}

    def _places(self, kind: Kind, namespaces: Collection[str] | None) -> Collection[str]:
        if not self.is_installed(kind):
            return ()
        if namespaces is None or not READINGS[kind].namespaced:
            return ("",)
        return sorted(namespaces)

    def _may(self, kind: Kind, verb: str, namespace: str) -> bool:
        attributes: dict[str, Any] = {
            "group": kind.group,
            "resource": READINGS[kind].plural,
            "verb": verb,
            "namespace": namespace,
        }
        question = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        return self._connection.post(_REVIEW, question, _REVIEWED).status.allowed
