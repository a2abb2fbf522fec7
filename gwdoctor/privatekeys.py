"""Private keys where nobody expects them: in a ConfigMap, an EnvoyFilter, an annotation.

Of a Secret `gwdoctor.source.secrets` keeps the certificates only; of every other object what is
marked as a private key is cut out when it is read, so that no report, snapshot or error can show it:
PEM and its kin (OpenSSH, PGP), the base64 of these, and the private members of a JSON Web Key.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

import msgspec

#: What stands in place of a key. A fix that would write it back is none: see `gwdoctor.engine`.
CUT = "(a private key: gwdoctor does not keep it)"

_PEM, _BASE64, _JWK = "PRIVATE KEY", "LS0tLS1CRUdJTi", '"kty'
#: One of these is in the JSON of every object that holds such a key.
_MARKS = tuple(mark.encode() for mark in (_PEM, _BASE64, _JWK))
_BLOCK = re.compile(
    r"(-{4,5} ?BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)? ?-{4,5}).*?"
    r"(-{4,5} ?END [A-Z0-9 ]*KEY(?: BLOCK)? ?-{4,5}|\Z)",
    re.S,
)
#: `-----BEGIN` in base64, and what follows, also where its line ends are written as `\n`.
_ENCODED = re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/=\s\\]*")
#: The members of a JSON Web Key that are nobody's business: RFC 7518, sections 6.2 to 6.4.
_PRIVATE_MEMBERS = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_MEMBER = re.compile(r'("(?:d|p|q|dp|dq|qi|r|t|k)\\*"\s*:\s*\\*")[A-Za-z0-9_+/=-]{16,}')


def may_be_in(data: bytes | bytearray) -> bool:
    """Whether the JSON of objects may hold a key: then it is worth a look at each of them."""
    return any(mark in data for mark in _MARKS)


def cut(value: Any) -> Any:
    """The value with every key in it cut out; structs, mappings and lists are changed in place."""
    if isinstance(value, str):
        return _without_keys(value)
    if isinstance(value, dict):
        for key, item in value.items():
            value[key] = cut(item)
        if "kty" in value:
            for member in _PRIVATE_MEMBERS:
                if member in value:
                    value[member] = CUT
    elif isinstance(value, list):
        value[:] = map(cut, value)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            item = getattr(value, name)
            if (clean := cut(item)) is not item:
                msgspec.structs.force_setattr(value, name, clean)
    return value


def _without_keys(text: str) -> str:
    if _PEM in text:
        text = _BLOCK.sub(rf"\1{CUT}\2", text)
    if _BASE64 in text:
        text = _ENCODED.sub(_unless_key, text)
    if '"kty' in text:
        text = _MEMBER.sub(rf"\1{CUT}", text)
    return text


def _unless_key(found: re.Match[str]) -> str:
    plain = re.sub(r"\s|\\n|\\r|\\|=", "", found[0])
    try:
        decoded = base64.b64decode(plain[: len(plain) // 4 * 4])
    except binascii.Error:
        return found[0]
    return CUT if _PEM.encode() in decoded else found[0]


def was_cut(value: Any) -> bool:
    """Whether a key was cut out of it."""
    if isinstance(value, str):
        return CUT in value
    if isinstance(value, dict):
        return any(map(was_cut, value.values()))
    return isinstance(value, list) and any(map(was_cut, value))
