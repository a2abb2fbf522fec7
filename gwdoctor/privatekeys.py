"""Private keys where nobody expects them: in a ConfigMap, an EnvoyFilter, an annotation.

Of a Secret `gwdoctor.source.secrets` keeps the certificates only; of every other object PEM blocks of
private keys are cut out when it is read, so that no report, snapshot or error can show them.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

#: What stands in place of a key. A fix that would write it back is none: see `gwdoctor.engine`.
CUT = "(a private key: gwdoctor does not keep it)"
MARK = "PRIVATE KEY"
_BLOCK = re.compile(
    r"(-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----).*?(-----END [A-Z0-9 ]*KEY-----|\Z)", re.S
)


def cut(value: Any) -> Any:
    """The value with every key in it cut out; structs, mappings and lists are changed in place."""
    if isinstance(value, str):
        return _BLOCK.sub(rf"\1{CUT}\2", value) if MARK in value else value
    if isinstance(value, dict):
        for key, item in value.items():
            value[key] = cut(item)
    elif isinstance(value, list):
        value[:] = map(cut, value)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            item = getattr(value, name)
            if (clean := cut(item)) is not item:
                msgspec.structs.force_setattr(value, name, clean)
    return value


def was_cut(value: Any) -> bool:
    """Whether a key was cut out of it."""
    if isinstance(value, str):
        return CUT in value
    if isinstance(value, dict):
        return any(map(was_cut, value.values()))
    return isinstance(value, list) and any(map(was_cut, value))
