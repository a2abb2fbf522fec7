"""From what somebody read in a browser, curl or a log to the checks whose symptom it is.

Compared are words: case, quotes, punctuation and addresses do not count, nor do numbers unless
they are HTTP statuses. `...` in a symptom stands for any words of the same line.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from gwdoctor.probe import Probe

#: More of a pasted text is not looked at.
MOST_TEXT = 100_000
_ADDRESS = re.compile(
    r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|\[[0-9a-fA-F:]*:[0-9a-fA-F:]*\](?::\d+)?"
    r"|\b(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F]{1,4}\b"
)
_ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_WORD = re.compile(r"[a-z0-9]+|\.\.\.")
_STATUS = re.compile(
    r"(?:http/[\d.]+\"?|error:?|status(?:[ _-]?code)?\"?[:=]?|response|code\"?[:=]?)\s*"
    r"(40[0-9]|42[0-9]|50[0-9]|52[0-9])\b",
    re.IGNORECASE,
)
_PHRASES = {
    "400": "bad request",
    "401": "unauthorized",
    "403": "forbidden",
    "404": "not found",
    "421": "misdirected request",
    "426": "upgrade required",
    "429": "too many requests",
    "500": "internal server error",
    "502": "bad gateway",
    "503": "service unavailable",
    "504": "gateway timeout",
}
_ANY = "..."
_NUMBER = "#"
#: What a part of a symptom has to weigh to count as the symptom.
_DISTINCTIVE = 6.0
#: What share of a symptom's words a text has to have to come near it.
_NEAR = 0.4
_MOST_NEAREST = 5


@dataclass(frozen=True, slots=True)
class Symptom:
    """A symptom of a check that a text shows, or comes near to."""

    check: str
    text: str
    weight: float  #: how telling it is: rare words weigh more


@dataclass(frozen=True, slots=True)
class Found:
    """The checks whose symptom it is, best first; where there are none, those that come nearest."""

    symptoms: Sequence[Symptom]
    nearest: Sequence[Symptom]


def words(text: str) -> list[tuple[str, ...]]:
    """The words of a symptom, or of a text, that are compared: each different line once."""
    plain = _ESCAPE.sub("", text[:MOST_TEXT])
    lines = (
        tuple(_token(word) for word in _WORD.findall(_ADDRESS.sub(" ", line).lower()))
        for line in plain.splitlines()
    )
    return list(dict.fromkeys(line for line in lines if line))


def _statuses(text: str) -> list[tuple[str, ...]]:
    """What HTTP calls the statuses in a text: `returned error: 404` says `404 Not Found`."""
    told = dict.fromkeys(_STATUS.findall(text[:MOST_TEXT]))
    return [(status, *_PHRASES[status].split()) for status in told if status in _PHRASES]


def _token(word: str) -> str:
    return _NUMBER if word.isdigit() and not _is_status(word) else word


def _is_status(word: str) -> bool:
    return len(word) == 3 and "400" <= word <= "599"


def find(text: str, known: Mapping[str, type[Probe]]) -> Found:
    """The checks whose symptoms a text shows."""
    lines = [(line, frozenset(line)) for line in (*words(text), *_statuses(text))]
    pairs = [
        (name, symptom, _wanted(symptom))
        for name, probe in known.items()
        for symptom in probe.symptoms
    ]
    weights = _weights(frozenset(wanted) for _, _, wanted in pairs)
    said = {_stem(token) for _, line in lines for token in line}
    shown: dict[str, Symptom] = {}
    near: dict[str, Symptom] = {}
    for name, symptom, wanted in pairs:
        whole = sum(weights.get(token, 0.0) for token in set(wanted))
        weight = max((_shown(wanted, *line, weights, whole) for line in lines), default=0.0)
        if weight:
            _keep(shown, Symptom(name, symptom, weight))
            continue
        shared = sum(weights.get(token, 0.0) for token in set(wanted) if _stem(token) in said)
        if whole and shared / whole >= _NEAR:
            _keep(near, Symptom(name, symptom, shared / whole))
    ordered = sorted(
        shown.values(), key=lambda s: (-s.weight, s.text, -known[s.check].severity, s.check)
    )
    close = sorted(near.values(), key=lambda s: (-s.weight, s.text, s.check))
    return Found(tuple(ordered), () if ordered else tuple(close[:_MOST_NEAREST]))


@cache
def _wanted(symptom: str) -> Sequence[str]:
    """The words of a symptom, kept for the next text: there are a few hundred of them."""
    return [token for line in words(symptom) for token in line]


def _stem(token: str) -> str:
    """`expire` and `expired` are near."""
    return token[:6]


def _keep(found: dict[str, Symptom], one: Symptom) -> None:
    if one.check not in found or found[one.check].weight < one.weight:
        found[one.check] = one


def _weights(texts: Iterable[frozenset[str]]) -> dict[str, float]:
    """Rare words tell more: the logarithm of how many symptoms do not have them."""
    texts = list(texts)
    counts = Counter(token for text in texts for token in text)
    return {
        token: math.log((len(texts) + 1) / number) + 1
        for token, number in counts.items()
        if token not in (_ANY, _NUMBER)
    }


def _shown(
    wanted: Sequence[str],
    line: Sequence[str],
    has: frozenset[str],
    weights: Mapping[str, float],
    whole: float,
) -> float:
    """What the symptom weighs where the line holds it, or is a telling part of it; else 0."""
    parts = _parts(wanted)
    if all(has.issuperset(part) for part in parts) and _holds(line, parts):
        return whole
    if len(line) < len(wanted) and has.issubset(wanted) and _holds(wanted, [line]):
        weight = sum(weights.get(token, 0.0) for token in has)
        return weight if weight >= _DISTINCTIVE else 0.0
    return 0.0


def _parts(wanted: Sequence[str]) -> list[list[str]]:
    """The runs of words between the places where anything may stand."""
    parts: list[list[str]] = [[]]
    for token in wanted:
        if token == _ANY:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def _holds(line: Sequence[str], parts: Sequence[Sequence[str]]) -> bool:
    """Whether the runs stand in the line, one after the other."""
    position = 0
    for part in parts:
        found = next(
            (
                start
                for start in range(position, len(line) - len(part) + 1)
                if list(line[start : start + len(part)]) == list(part)
            ),
            None,
        )
        if found is None:
            return False
        position = found + len(part)
    return True
