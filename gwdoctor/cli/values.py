"""Values of options: levels, durations, moments, label selectors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from gwdoctor.cli.mistakes import Mistake, nearest
from gwdoctor.model import Confidence, Severity

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"(?:(?:\d+(?:\.\d*)?|\.\d+)(?:h|ms|us|µs|ns|m|s))+")
_PART = re.compile(r"([\d.]+)(h|ms|us|µs|ns|m|s)")


def severity(text: str, flag: str) -> Severity:
    """`critical`, `high`, `medium` or `low`."""
    return Severity[_one_of(text, [s.name.lower() for s in reversed(Severity)], flag).upper()]


def confidence(text: str, flag: str) -> Confidence:
    """`certain`, `likely` or `possible`."""
    return Confidence[_one_of(text, [c.name.lower() for c in reversed(Confidence)], flag).upper()]


def fail_on(text: str) -> Severity | None:
    """A severity, or None for `never`."""
    levels = [*(s.name.lower() for s in reversed(Severity)), "never"]
    word = _one_of(text, levels, "--fail-on")
    return None if word == "never" else Severity[word.upper()]


def one_of(text: str, words: list[str], flag: str) -> str:
    """One of these words."""
    return _one_of(text, words, flag)


def _one_of(text: str, words: list[str], flag: str) -> str:
    word = text.strip().lower()
    if word not in words:
        raise Mistake(f"{flag}: {text!r} is none of {', '.join(words)}.{nearest(word, words)}")
    return word


def seconds(text: str, flag: str) -> float | None:
    """A duration as kubectl takes it (`90s`, `1m30s`, or a number of seconds); None for 0."""
    plain = text.strip()
    if re.fullmatch(r"\d+", plain):
        value = float(plain)
    elif _DURATION.fullmatch(plain):
        value = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(plain))
    else:
        raise Mistake(f"{flag}: {text!r} is no duration; write 30s, 2m or 1m30s")
    return value or None


def moment(text: str, flag: str) -> datetime:
    """A time as Kubernetes writes it; without a zone it is UTC."""
    try:
        value = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        raise Mistake(f"{flag}: {text!r} is no time; write 2026-11-21T12:00:00Z") from None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


_TERM = re.compile(
    r"\s*(?:"
    r"(?P<key>[^\s=!,()<>]+)(?:\s*(?P<sign>==|=|!=)\s*(?P<value>[^\s=!,()<>]*)"
    r"|\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\))?"
    r"|!\s*(?P<absent>[^\s=!,()<>]+)"
    r")\s*"
)


def label_selector(text: str) -> Callable[[Mapping[str, str]], bool]:
    """A kubectl label selector as a predicate of labels."""
    terms, position = [], 0
    while True:
        term = _TERM.match(text, position)
        if term is None:
            raise Mistake(f"-l: {text!r} is no label selector; write app=shop,tier!=test")
        terms.append(_predicate(term))
        position = term.end()
        if position == len(text):
            return lambda labels: all(holds(labels) for holds in terms)
        if text[position] != ",":
            raise Mistake(f"-l: cannot read {text[position:]!r} in {text!r}")
        position += 1


def _predicate(term: re.Match[str]) -> Callable[[Mapping[str, str]], bool]:
    key, value = term["key"], term["value"]
    if term["absent"]:
        return lambda labels: term["absent"] not in labels
    if term["op"]:
        wanted = {item.strip() for item in term["values"].split(",")}
        if term["op"] == "in":
            return lambda labels: key in labels and labels[key] in wanted
        return lambda labels: labels.get(key) not in wanted
    match term["sign"]:
        case "=" | "==":
            return lambda labels: labels.get(key) == value
        case "!=":
            return lambda labels: labels.get(key) != value
    return lambda labels: key in labels
