"""The report as one page: opens from a mail, a bucket or a laptop without network.

Nothing in it asks for anything outside, nothing from a cluster is markup or script, and all of it
can be read without JavaScript, which only copies and filters.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources

from jinja2 import DictLoader, Environment, StrictUndefined, Template
from markupsafe import Markup

from gwdoctor.model import Report
from gwdoctor.render.formats import Style
from gwdoctor.render.html.page import page


def render(report: Report, style: Style) -> str:
    """The page. The same report, the same bytes."""
    css, script = _file("report.css"), _file("report.js")
    policy = (
        f"default-src 'none'; style-src {_hash(css)}; script-src {_hash(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    # ours, and nothing of a report is in them
    text: str = _template().render(
        page=page(report, fixes=style.fixes),
        policy=policy,
        css=Markup(css),
        script=Markup(script),
    )
    return text


@cache
def _template() -> Template:
    environment = Environment(
        loader=DictLoader({"report": _file("report.html.jinja")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report")


def _file(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
