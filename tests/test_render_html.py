"""The HTML page, read without a browser; `tests/browser` opens it in one."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from functools import cache
from importlib import resources
from itertools import pairwise

import htmlreports
import pytest
import reports
from htmlreports import NASTY, page
from htmltree import Element, parse
from hypothesis import given, settings
from hypothesis import strategies as st
from test_catalogue import with_one_hole

from gwdoctor import Severity, changes
from gwdoctor.entry import Entry, State
from gwdoctor.model import Report
from gwdoctor.render import html, machine, plain, saved, words
from gwdoctor.render.document import document
from gwdoctor.render.formats import FORMATS, Style
from gwdoctor.render.html import layout
from gwdoctor.render.words import Ending, visible

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


@cache
def tree() -> Element:
    return parse(page(htmlreports.five_failures()))


@cache
def every_report() -> list[Report]:
    return [
        htmlreports.five_failures(),
        htmlreports.large(),
        reports.full(),
        reports.report(),
        reports.report(incomplete=True, entry=Entry()),
        *map(htmlreports.hostile, NASTY),
    ]


@cache
def every_tree() -> list[Element]:
    return [parse(page(report)) for report in every_report()]


# --- what it says ------------------------------------------------------------------------


def test_the_verdict_comes_first() -> None:
    (headline,) = tree().all("h1")

    assert headline.text == "prod-eu1: requests to 4 of 6 hostnames fail"
    assert tree().all("title")[0].text == f"{headline.text} - gwdoctor"
    assert [h.text for h in tree().all("h2")] == [
        "Where requests break",
        "Problems, worst first",
        "Certificates by expiry",
        "What could not be seen",
    ]


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (reports.report(), "prod-eu1: no problem found"),
        (
            reports.report(skips=reports.full().skips),
            "prod-eu1: no problem found in what could be checked",
        ),
        (reports.report(incomplete=True), "prod-eu1: no problem found in what could be checked"),
        (reports.full(), "prod-eu1: 1 critical problem"),
        (reports.report(reports.finding(severity=Severity.LOW)), "prod-eu1: 1 low problem"),
    ],
)
def test_the_headline_is_never_better_than_what_was_seen(report: Report, said: str) -> None:
    assert parse(page(report)).all("h1")[0].text == said


def test_every_fact_of_a_problem_is_there() -> None:
    report = reports.full()
    found = parse(page(report))
    problems = found.with_class("problem")

    assert [p.attributes["id"] for p in problems] == [f.id for f in report.findings]
    for problem, finding in zip(problems, report.findings, strict=True):
        text = problem.text
        facts = [
            str(finding.severity),
            str(finding.confidence),
            finding.title,
            finding.message,
            words.place(finding.field),
            finding.advice,
            f"gwdoctor explain {finding.check}",
            *map(words.place, finding.because),
            *(changes.commands(finding.fix) if finding.fix else ()),
        ]
        for fact in facts:
            assert fact in text


def test_the_fix_is_what_the_text_report_prints() -> None:
    report = htmlreports.five_failures()
    lines = plain.render(report, Ending(1, ""))
    blocks = [pre.text for pre in tree().all("pre")]

    assert len(blocks) > 10
    for block in blocks:
        if not block.startswith("- {"):  # a rule for a role, which stands in a line there
            assert "".join(f"    {line}\n" for line in block.splitlines()) in lines


def test_no_fixes_where_none_are_wanted() -> None:
    text = html.render(reports.full(), Style(end=Ending(1, ""), fixes=False))

    assert "kubectl apply" not in text
    assert "Merge the servers" not in text


def test_what_could_not_be_seen_and_the_rule_that_shows_it() -> None:
    (first, second) = tree().with_class("gap")

    assert "Namespace: may not be listed (403)" in first.text
    assert '- {apiGroups: [""], resources: ["namespaces"], verbs: ["get", "list"]}' in first.text
    assert "kong/a-b, kong/c-d" in first.text
    assert "a.yaml:3: is not valid YAML" in second.text


def test_certificates_stand_in_the_order_of_their_end() -> None:
    days = [cell.text for cell in tree().with_class("day")]

    assert len(days) >= 4
    assert days == sorted(days)


def test_each_urgent_finding_is_on_the_map_or_named_beside_it() -> None:
    section = next(s for s in tree().all("section") if s.attributes["aria-labelledby"] == "map")
    linked = {a.attributes["href"][1:] for a in section.all("a")}

    for finding in htmlreports.five_failures().findings:
        if finding.severity >= Severity.HIGH:
            assert finding.id in linked


def test_every_hostname_is_in_a_table_with_its_state() -> None:
    report = htmlreports.large()
    assert report.entry is not None
    found = {
        row.all("th")[0].text: row.with_class("state")[0].text
        for row in every_tree()[1].all("tr")
        if row.with_class("state") and not row.with_class("day")
    }

    assert len(found) == 1000
    for host in report.entry.map.hosts:
        assert layout.WORDS[host.state] in found[host.name]


def test_healthy_hostnames_are_folded_and_not_drawn() -> None:
    found = every_tree()[1]
    (quiet,) = found.with_class("quiet")

    assert "500 hostnames" in quiet.all("summary")[0].text
    assert not any("open" in e.attributes for e in quiet.all("details"))
    assert len([g for g in found.all("g") if "c0" in g.attributes["class"]]) == 40
    assert "460 more are in the table." in found.text


def test_a_report_without_a_map_says_so() -> None:
    assert "This report holds no map" in page(reports.full())


def test_convert_writes_the_same_page() -> None:
    report = htmlreports.five_failures()

    again = saved.read(machine.report_as_json(report).encode())

    assert page(again) == page(report)


def test_only_json_holds_the_map() -> None:
    report = htmlreports.five_failures()

    assert '"entry":' in machine.report_as_json(report)
    assert '"entry":' not in machine.report_as_jsonl(report)
    assert "\nentry:" not in machine.report_as_yaml(report)
    assert (
        machine.report_as_json(replace(report, entry=None))
        == machine.report_as_json(report).partition(',\n  "entry":')[0] + "\n}\n"
    )


def test_the_format_asks_for_the_map() -> None:
    assert [f.name for f in FORMATS.values() if f.draws] == ["html"]


# --- safe --------------------------------------------------------------------------------


def test_nothing_is_loaded_from_outside() -> None:
    for found in every_tree():
        for element in found:
            for name, value in element.attributes.items():
                assert name not in ("src", "srcset", "style", "action", "formaction", "data"), (
                    element
                )
                assert not name.startswith("on"), element
                if name in ("href", "xlink:href"):
                    assert value.startswith("#") or (element.tag, value) == ("link", "data:,")
        assert {e.tag for e in found} & {
            "img",
            "iframe",
            "object",
            "embed",
            "form",
            "base",
        } == set()


def test_the_policy_lets_in_our_style_and_script_and_nothing_else() -> None:
    found = tree()
    (policy,) = [
        m.attributes["content"]
        for m in found.all("meta")
        if m.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    (style,), (script,) = found.all("style"), found.all("script")

    def sha(element: Element) -> str:
        return base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()

    assert dict(part.strip().split(" ", 1) for part in policy.split(";")) == {
        "default-src": "'none'",
        "style-src": f"'sha256-{sha(style)}'",
        "script-src": f"'sha256-{sha(script)}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert script.attributes == style.attributes == {}


def shape(element: Element) -> list[object]:
    """Its elements, whatever their texts."""
    return [element.tag, *(shape(c) for c in element.content if isinstance(c, Element))]


def test_no_text_of_a_cluster_becomes_markup() -> None:
    harmless = shape(parse(page(htmlreports.hostile("harmless"))))

    for text in NASTY:
        found = parse(page(htmlreports.hostile(text)))
        assert shape(found) == harmless, text
        assert visible(text) in found.all("h3")[0].text
        assert not CONTROL.search(page(htmlreports.hostile(text)))


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40).filter(str.strip))
def test_no_text_at_all_becomes_markup(text: str) -> None:
    assert shape(parse(page(htmlreports.hostile(text)))) == shape(
        parse(page(htmlreports.hostile("harmless")))
    )


@pytest.mark.slow
def test_a_map_that_somebody_changed_is_drawn_or_refused() -> None:
    whole = document(htmlreports.five_failures())
    drawn, refused = 0, []
    for entry in with_one_hole(document(htmlreports.hostile("x"))["entry"]):
        try:
            report = saved.read(json.dumps(whole | {"entry": entry}).encode())
        except saved.BadReport as error:
            refused.append(str(error))
        else:
            drawn += 1
            if drawn % 5 == 0:
                parse(page(report))

    assert drawn > 50
    assert len(refused) > 200
    assert all("entry" in reason for reason in refused)


def test_the_same_report_gives_the_same_bytes() -> None:
    for report in every_report():
        assert page(report) == page(report)


def test_a_thousand_hostnames_and_five_hundred_findings_are_below_two_megabytes() -> None:
    report = htmlreports.large()
    assert report.entry is not None
    assert (len(report.entry.map.hosts), len(report.findings)) == (1000, 500)

    assert len(page(report).encode()) < 2_000_000


# --- for everybody -----------------------------------------------------------------------


def test_the_outline_skips_no_level() -> None:
    for found in every_tree():
        levels = [int(h.tag[1]) for h in found.all("h1", "h2", "h3", "h4")]
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))


def test_everything_that_can_be_pressed_has_a_name_of_its_own() -> None:
    found = tree()
    buttons = [button.name for button in found.all("button")]

    assert len(buttons) > 10
    assert len(set(buttons)) == len(buttons)
    for control in found.all("a", "button", "summary"):
        assert control.name, control
    labels = {label.attributes["for"] for label in found.all("label")}
    assert {i.attributes["id"] for i in found.all("input")} == labels


def test_ids_are_unique_and_links_lead_to_them() -> None:
    for found in every_tree()[:3]:
        ids = [e.attributes["id"] for e in found if "id" in e.attributes]
        assert len(set(ids)) == len(ids)
        for link in found.all("a"):
            assert link.attributes["href"][1:] in ids


def test_tables_say_what_their_cells_are() -> None:
    for table in tree().all("table"):
        assert table.all("caption")[0].text
        heads = table.all("thead")[0].all("th")
        assert all(head.attributes["scope"] == "col" for head in heads)
        width = len(heads)
        waiting = 0
        for row in table.all("tbody")[0].all("tr"):
            cells = row.all("th", "td")
            assert len(cells) == (width - 2 if waiting else width)
            waiting = (waiting or int(cells[0].attributes.get("rowspan", "1"))) - 1


def test_landmarks_and_language() -> None:
    found = tree()

    assert found.all("html")[0].attributes["lang"] == "en"
    assert len(found.all("main")) == len(found.all("header")) == 1
    ids = {e.attributes.get("id") for e in found}
    assert all(s.attributes["aria-labelledby"] in ids for s in found.all("section"))


def test_without_a_script_there_is_no_dead_control() -> None:
    for control in tree().all("button", "input"):
        assert "hidden" in control.attributes or (
            control.parent is not None and "hidden" in control.parent.attributes
        )


# --- colours -----------------------------------------------------------------------------


def palettes() -> list[dict[str, str]]:
    css = resources.files("gwdoctor.render.html").joinpath("report.css").read_text()
    light, dark = (
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\n *\}", css, re.DOTALL)
    )
    return [light, light | dark]


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", palettes(), ids=["light", "dark"])
def test_contrast(palette: dict[str, str]) -> None:
    """WCAG 2.2: 4.5 to 1 for text (1.4.3), 3 to 1 for what one has to make out (1.4.11)."""
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    for back in ("page", "card"):
        for text in ("text", "muted", "link", "broken", "degraded", "unseen", "ok"):
            assert contrast(palette[text], palette[back]) >= 4.5, (text, back)
        assert contrast(palette["focus"], palette[back]) >= 3
    for state in ("broken", "degraded", "unseen", "ok"):
        back = palette[f"{state}-back"]
        assert contrast(palette[state], back) >= 3
        for text in ("text", "muted"):
            assert contrast(palette[text], back) >= 4.5, (text, state)


def test_no_state_is_told_by_colour_alone() -> None:
    assert len(set(layout.WORDS.values())) == len(set(layout.SIGNS.values())) == len(State)


# --- the drawing -------------------------------------------------------------------------


def test_no_two_stations_overlap() -> None:
    for report in (htmlreports.five_failures(), htmlreports.large(), htmlreports.hostile("x")):
        assert report.entry is not None
        drawing = layout.drawing(report.entry.map, report.entry.map.hosts[:60])
        for column in range(len(layout.COLUMNS)):
            tops = sorted(node.y for node in drawing.nodes if node.column == column)
            assert all(below - above >= layout.PITCH for above, below in pairwise(tops))
            assert all(layout.TOP <= y <= drawing.height - layout.PITCH for y in tops)


def test_the_columns_do_not_touch() -> None:
    edges = [(left, left + width) for left, width in zip(layout.LEFT, layout.WIDTH, strict=True)]

    assert all(end + 20 <= start for (_, end), (start, _) in pairwise(edges))
    assert edges[-1][1] <= layout.TOTAL


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web.example.com", "web.example.com"),
        ("w" * 300, "wwwwwwwwwwwwwwwwww…"),
        ("l" * 300, "l" * 44 + "…"),
        ("中" * 300, "中" * 13 + "…"),
    ],
)
def test_a_long_name_is_cut_where_the_box_ends(text: str, shown: str) -> None:
    assert layout.fitting(text, 0) == shown
