"""What some ways of scanning need beside the rights to read kinds (`gwdoctor.kinds.READINGS`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Right:
    """A rule of a Role."""

    group: str
    resource: str
    verbs: tuple[str, ...]

    @property
    def rule(self) -> dict[str, Any]:
        """As RBAC writes it."""
        return {
            "apiGroups": [self.group],
            "resources": [self.resource],
            "verbs": list(self.verbs),
        }


LOGS = Right("", "pods/log", ("get",))
#: By websocket a port-forward is a GET; servers from 1.35 on ask for `create` as well.
PORT_FORWARD = Right("", "pods/portforward", ("create", "get"))

#: By what is asked of `gwdoctor scan`: --logs; --probe backends and --probe-via port-forward.
#: `--probe tls` at addresses needs none, because it asks no API server.
MODES: Mapping[str, Right] = {"logs": LOGS, "port-forward": PORT_FORWARD}
