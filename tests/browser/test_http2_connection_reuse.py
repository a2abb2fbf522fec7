"""Document 002 in a real browser on a real Envoy: what a person sees before and after each fix.

`tests/behaviour` shows what Envoy answers; only a browser shows that it reuses the connection, and
that it asks again after a 421.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import certs
import pytest
from behaviour.printed_fixes import applied, printed_fix
from behaviour.raw_http import Trust
from behaviour.test_http2_connection_reuse import (
    AUTHORITY,
    NOW,
    OVERLAP,
    A,
    B,
    gateway_pod,
    one_secret,
    two_secrets,
)
from behaviour.test_http2_connection_reuse import trust as trust
from browser.conftest import launched
from cryptography.hazmat.primitives import serialization

pytestmark = pytest.mark.slow

Manifest = dict[str, Any]


def trusted_keys() -> str:
    """The public keys that a test browser is to take, as Chromium wants them.

    Not --ignore-certificate-errors: with it Chromium shares no connection, and all seems well.
    """
    keys = (certs.private_key(name).public_key() for name in ("leaf", str(AUTHORITY["key"])))
    forms = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    digests = (hashlib.sha256(key.public_bytes(*forms)).digest() for key in keys)
    return ",".join(base64.b64encode(digest).decode() for digest in digests)


@contextmanager
def pages(objects: Sequence[Manifest], folder: Path, trust: Trust) -> Iterator[Any]:
    """Visit hosts of a gateway one after the other; the status of each page."""
    with gateway_pod(objects, folder, trust) as pod:
        _, port = pod.envoy.listeners["443"]
        rules = ", ".join(f"MAP {host} 127.0.0.1:{port}" for host in (A, B))
        options = (
            f"--host-resolver-rules={rules}, MAP * ~NOTFOUND",
            f"--ignore-certificate-errors-spki-list={trusted_keys()}",
        )
        with launched(*options) as browser:
            page = browser.new_page()
            yield lambda *hosts: [_status(page, f"https://{host}/") for host in hosts]


def _status(page: Any, url: str) -> int:
    """The status that the page ends with; Chromium takes one without a body for a failure."""
    with page.expect_response(url) as answer, contextlib.suppress(Exception):
        page.goto(url)
    status: int = answer.value.status
    return status


def test_the_second_site_is_not_found_until_the_printed_merge(tmp_path: Path, trust: Trust) -> None:
    broken = one_secret()
    merged = applied(broken, printed_fix(broken, OVERLAP, NOW))

    with pages(broken, tmp_path, trust) as visit:
        assert visit(A, B, A) == [200, 404, 200]
    with pages(merged, tmp_path, trust) as visit:
        assert visit(A, B, A) == [200, 200, 200]


def test_the_browser_asks_again_where_the_printed_filter_says_421(
    tmp_path: Path, trust: Trust
) -> None:
    broken = two_secrets()
    filtered = applied(broken, printed_fix(broken, OVERLAP, NOW))

    with pages(broken, tmp_path, trust) as visit:
        assert visit(A, B) == [200, 404]
    with pages(filtered, tmp_path, trust) as visit:
        assert visit(A, B, A) == [200, 200, 200]
