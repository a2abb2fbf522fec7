"""Texts that a cluster's components wrote, made fit to be quoted: one line, cut, no secrets."""

from __future__ import annotations

import re

#: So much of a line is quoted.
LONGEST = 320
_GONE = "[removed]"
#: A header, field or variable of this name holds a secret; what follows it is not shown.
_SECRET_NAME = (
    r"(?:proxy-)?authorization|(?:set-)?cookie2?|api[-_ ]?key|x-api-key|apikey|"
    r"(?:access|refresh|id|auth|bearer|session|csrf|xsrf|security|kong-admin|x-auth|x-vault)[-_]"
    r"?token|token|password|passwd|pwd|secret|client[-_]secret|signature|credential|"
    r"x-forwarded-client-cert|private[-_]?key|session(?:[-_]?id)?"
)
_RULES = (
    # a key or certificate, also one of which the end is cut off
    (re.compile(r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|$)", re.DOTALL), _GONE),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){0,4}"), _GONE),  # a JSON web token
    (re.compile(r"\b(Bearer|Basic|Negotiate|Digest)\s+[^\s\"',;]+", re.IGNORECASE), rf"\1 {_GONE}"),
    (re.compile(r"(?<=://)[^/\s\"'@]+@"), ""),  # the login in a URL
    # values of a query, up to what ends a URL; names of parameters may tell something, too
    (re.compile(r"\?[^\s\"'<>\\]*"), "?..."),
    # name: value, name=value, "name":"value", name: "a value", "name": ["a", "b"]
    (
        re.compile(
            rf"(?<![A-Za-z])((?:{_SECRET_NAME})[\"']?\s*[:=]\s*)"
            r"(\[[^\]]*\]?|\\?\"[^\"]*\"?|'[^']*'?|[^\s,;\"'}\]]+(?:;\s*[^\s=;,\"]+=[^\s;,\"]*)*)",
            re.IGNORECASE,
        ),
        rf"\g<1>{_GONE}",
    ),
    # well-known forms of keys: AWS, GitHub, GitLab, Slack, Stripe
    (
        re.compile(
            r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\bgh[opusr]_\w{16,}|\bglpat-[\w-]{10,}"
            r"|\bxox[abpr]-[\w-]{10,}|\b[sr]k_live_\w{8,}"
        ),
        _GONE,
    ),
)


def one_line(text: str) -> str:
    """Without control characters, marks of direction, and runs of blanks."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def clean(text: str, longest: int = LONGEST) -> str:
    """On one line, without what may be secret, and not longer than this."""
    # a line of megabytes is no line of a log: rules are not run over all of it
    text = one_line(text[: longest * 16])
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
