"""What a plain scalar stands for, by the rules of kubectl (Go's yaml.v2, then JSON).

`yes`, `on` and `y` are booleans, `0777` is octal, `1_000` a thousand; `12:30:45` and dates are
strings; `1.0` becomes the integer 1 on its way through JSON. PyYAML differs in half of these.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import isfinite
from typing import Any

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE"), True),
    **dict.fromkeys(("on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE"), False),
    **dict.fromkeys(("off", "Off", "OFF"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INT = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SIGN_INSIDE = re.compile(r"0b[-+][01]+")  # a whim of yaml.v2
_STRAY_UNDERSCORE = re.compile(r"_(?![0-9])|(?<![0-9])_")
_BASES = {"0x": 16, "0b": 2, "0o": 8}


@lru_cache(maxsize=65536)
def resolved(text: str) -> Any:
    """What a plain scalar stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if not text or text[0] not in "+-.0123456789":
        return text
    if text[0] == "." and _STRAY_UNDERSCORE.search(text):
        return text  # elsewhere an underscore may stand anywhere
    plain = text.replace("_", "")
    if _INT.fullmatch(plain):
        digits = plain.lstrip("+-").lower()
        base = _BASES.get(digits[:2]) or (8 if digits[0] == "0" else 10)
        magnitude = int(digits[2:] if digits[:2] in _BASES else digits, base)
        return -magnitude if plain[0] == "-" else magnitude
    if _SIGN_INSIDE.fullmatch(plain):
        return int(plain[2:], 2)
    if _FLOAT.fullmatch(plain):
        number = float(plain)
        if not isfinite(number):
            return text  # beyond a 64 bit float: Go leaves it a string
        return int(number) if number.is_integer() and abs(number) < 1e21 else number
    return text
