"""Where a report goes, and what is new in it."""

from __future__ import annotations

import base64
import gzip
import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from commandline import Here
from hypothesis import given
from hypothesis import strategies as some
from reports import SERVICE, finding, full, report, resource

from gwdoctor import Severity
from gwdoctor.delivery import configmap, history, messages, openreports, summary
from gwdoctor.delivery.destinations import BadDestination, Destination, parsed
from gwdoctor.delivery.history import Memory, News, compared
from gwdoctor.model import Finding, Report, Skip
from gwdoctor.render.openreports import OPENREPORTS

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
CHECK = "kong/upstream-protocol-missing"


def numbered(number: int, check: str = CHECK, **more: Any) -> Finding:
    service = resource(SERVICE, "shop", f"web-{number}", spec={"ports": [{"port": 9000}]})
    return finding(check, field=service.at("spec", "ports", 0), root=service, **more)


def news_of(now: Report, last: Memory | None = None, *, hours: int = 0, scope: str = "all") -> News:
    checks = {CHECK, "kong/other"}
    return compared(now, last, scope=scope, checks=checks, now=NOON + timedelta(hours=hours))


def blind(check: str = CHECK, reason: str = "Secret: may not be listed (403)") -> Skip:
    return Skip(check=check, reason=reason)


# --- history -----------------------------------------------------------------------------------


def test_the_first_report_has_everything_new_and_nothing_to_compare_with() -> None:
    news = news_of(report(numbered(1), numbered(2)))

    assert news.is_first
    assert len(news.new) == 2
    assert not news.fixed
    assert set(news.first_seen.values()) == {"2026-11-21T12:00:00Z"}


def test_new_still_and_fixed() -> None:
    first = news_of(report(numbered(1), numbered(2)))

    second = news_of(report(numbered(2), numbered(3)), first.memory, hours=1)

    assert [f.field.ref.name for f in second.new] == ["web-3"]
    assert [f.field.ref.name for f in second.still] == ["web-2"]
    assert [known.object for known in second.fixed] == ["Service shop/web-1"]
    assert second.since == "2026-11-21T12:00:00Z"
    assert second.first_seen[numbered(2).id] == "2026-11-21T12:00:00Z"
    assert second.first_seen[numbered(3).id] == "2026-11-21T13:00:00Z"


def test_what_could_not_be_looked_at_is_not_fixed_however_long_that_lasts() -> None:
    memory = news_of(report(numbered(1))).memory

    for hours in (1, 2, 3):
        news = news_of(report(skips=(blind(),)), memory, hours=hours)
        memory = news.memory
        assert not news.fixed
        assert [known.object for known in news.unknown] == ["Service shop/web-1"]
    seeing = news_of(report(), memory, hours=4)

    assert len(seeing.fixed) == 1


def test_a_check_that_is_as_blind_as_before_can_see_a_finding_go() -> None:
    """Without a right to Secrets some checks are never whole; what they do find can be mended."""
    memory = news_of(report(numbered(1), skips=(blind(),))).memory

    assert len(news_of(report(skips=(blind(),)), memory, hours=1).fixed) == 1
    assert not news_of(report(skips=(blind(), blind(reason="x"))), memory, hours=1).fixed


def test_blindness_of_another_check_does_not_count() -> None:
    memory = news_of(report(numbered(1))).memory

    assert len(news_of(report(skips=(blind("kong/other"),)), memory, hours=1).fixed) == 1


def test_a_run_about_something_else_is_not_compared_but_knows_since_when() -> None:
    memory = news_of(report(numbered(1), numbered(2))).memory

    news = news_of(report(numbered(1)), memory, hours=1, scope="one namespace")

    assert news.is_first
    assert not news.fixed
    assert news.first_seen[numbered(1).id] == "2026-11-21T12:00:00Z"


def test_of_a_check_that_is_gone_nothing_is_told() -> None:
    memory = news_of(report(numbered(1, "kong/retired"))).memory

    assert not news_of(report(), memory, hours=1).fixed


def test_what_could_not_be_told_is_new_again() -> None:
    memory = news_of(report(numbered(1), numbered(2))).memory
    untold = history.untold(news_of(report(numbered(2), numbered(3)), memory, hours=1))

    again = news_of(report(numbered(2), numbered(3)), untold, hours=2)

    assert [f.field.ref.name for f in again.new] == ["web-3"]
    assert [known.object for known in again.fixed] == ["Service shop/web-1"]
    first = history.untold(news_of(report(numbered(1))))
    assert news_of(report(numbered(1)), first, hours=1).is_first


@given(some.lists(some.tuples(some.frozensets(some.integers(0, 5)), some.booleans()), max_size=6))
def test_every_finding_is_told_once_when_it_comes_and_once_when_it_goes(
    runs: list[tuple[frozenset[int], bool]],
) -> None:
    """Over any history: new and fixed alternate, and nothing is fixed in a run that is blind."""
    memory: Memory | None = None
    standing: set[str] = set()
    for hours, (numbers, is_blind) in enumerate(runs):
        now = report(
            *(numbered(number) for number in sorted(numbers)), skips=(blind(),) if is_blind else ()
        )
        news = news_of(now, memory, hours=hours)
        new = {f.id for f in news.new}
        fixed = {known.id for known in news.fixed}
        assert not new & standing
        assert fixed <= standing
        standing = (standing | new) - fixed
        assert standing == {known.id for known in news.memory.known}
        memory = news.memory


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"version": 2}', '{"known": 3}', '{"known": [{"id": 1}]}', "[" * 100_000],
)
def test_a_memory_that_somebody_broke_is_none(text: str) -> None:
    assert history.decoded(text) is None


# --- the termination message -------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, 15, 400])
def test_the_termination_message_fits_and_says_what_it_leaves_out(number: int) -> None:
    findings = [numbered(n, message="ä" * (n % 290)) for n in range(number)]
    text = summary.termination_message(report(*findings), news_of(report(*findings)))

    lines = text.splitlines()
    told = sum(line.startswith("critical ") for line in lines)
    left = int(lines[-1].split()[1]) if lines[-1].startswith("and ") else 0
    assert len(text.encode()) <= 4096
    assert text.endswith("\n")
    assert told + left == number
    assert lines[0].startswith("gwdoctor: ")


def test_the_termination_message_holds_no_control_characters() -> None:
    hostile = numbered(1, message="a\x1b[2J\nb\u202e" * 50)

    text = summary.termination_message(report(hostile), news_of(report(hostile)))

    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(text.splitlines()) == 2


# --- the ConfigMap -----------------------------------------------------------------------------


def kept(
    now: Report, before: dict[str, Any] | None = None, *, hours: int = 0, keep: int = 5
) -> Any:
    last = configmap.memory_of(before) if before else None
    news = news_of(now, last, hours=hours)
    return configmap.manifest(
        "report", "gwdoctor", now, news, news.memory, before=before, keep=keep
    )


def run_keys(manifest: dict[str, Any]) -> list[str]:
    return [key for key in manifest["binaryData"] if key.startswith("run-")]


def test_a_config_map_keeps_the_last_runs_and_remembers() -> None:
    made = None
    for hours in range(7):
        made = kept(report(numbered(hours)), made, hours=hours, keep=3)
    assert made is not None

    assert run_keys(made) == [f"run-2026-11-21T{hour}0000Z.json.gz" for hour in (16, 17, 18)]
    memory = configmap.memory_of(made)
    assert memory is not None
    assert [known.object for known in memory.known] == ["Service shop/web-6"]
    whole = json.loads(gzip.decompress(base64.b64decode(made["binaryData"][run_keys(made)[-1]])))
    assert whole["version"] == 1
    assert [f["object"]["name"] for f in whole["findings"]] == ["web-6"]
    assert whole["history"]["fixed"] == [numbered(5).id]


@pytest.mark.slow
@pytest.mark.parametrize("number", [1500, 6000], ids=["two runs are too much", "one run is"])
def test_a_config_map_never_grows_beyond_what_the_server_takes(number: int) -> None:
    noise = [os.urandom(300).hex() for _ in range(number)]  # does not compress
    large = report(*(numbered(n, message=text) for n, text in enumerate(noise)))
    made = None

    for hours in range(3):
        made = kept(large, made, hours=hours)
    assert made is not None

    sizes = [len(base64.b64decode(data)) for data in made["binaryData"].values()]
    assert sum(sizes) + len(made["data"]["summary"]) < 1 << 20
    memory = configmap.memory_of(made)
    assert memory is not None
    assert len(memory.known) == number
    assert len(run_keys(made)) >= 1


def test_a_run_in_a_config_map_can_be_read_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made = kept(report(numbered(1), numbered(2)))
    *_, newest = sorted(made["binaryData"].items())
    (tmp_path / "run.json").write_bytes(gzip.decompress(base64.b64decode(newest[1])))

    done = Here(capsys)("convert", tmp_path / "run.json", "-o", "json")

    assert newest[0].startswith("run-"), "the page says how to find it"
    assert done.ids == [CHECK, CHECK]


def test_a_config_map_that_somebody_broke_is_written_anew() -> None:
    bomb = gzip.compress(b'{"version": 1}' + b" " * configmap.MOST_UNPACKED)
    broken: tuple[Any, ...] = (
        {"memory.json.gz": "%%%"},
        {"memory.json.gz": "AAAA"},
        {"x": 3},
        [],
        None,
    )
    for data in broken:
        assert configmap.memory_of({"binaryData": data}) is None
    packed = base64.b64encode(bomb).decode()
    assert configmap.memory_of({"binaryData": {"memory.json.gz": packed}}) is None


# --- OpenReports -------------------------------------------------------------------------------


def as_reports(now: Report, last: Memory | None = None, **more: Any) -> list[dict[str, Any]]:
    news = news_of(now, last)
    given = {"api": OPENREPORTS, "home": "gwdoctor", "spread": False, **more}
    return openreports.manifests(now, news, news.memory, **given)


def test_reports_hold_at_most_250_results_and_names_do_not_meet() -> None:
    shop = [numbered(n) for n in range(251)]
    service = resource(SERVICE, "shop.1".replace(".", "-"), "web", spec={})
    made = as_reports(report(*shop, finding(field=service, root=service)))

    names = [one["metadata"]["name"] for one in made]
    assert names == ["gwdoctor.1", "gwdoctor.shop.1", "gwdoctor.shop.2", "gwdoctor.shop-1.1"]
    assert [len(one["results"]) for one in made] == [0, 250, 1, 1]
    assert {one["metadata"]["namespace"] for one in made} == {"gwdoctor"}


def test_a_report_is_never_larger_than_what_etcd_takes() -> None:
    wide = "\U0001f4a5" * 2000
    hostile = [numbered(n, message=wide, title=wide) for n in range(250)]

    made = as_reports(report(*hostile))

    assert sum(len(one["results"]) for one in made) == 250
    assert max(len(msgspec.json.encode(one)) for one in made) < 1_100_000


def test_reports_remember() -> None:
    first = report(numbered(1), numbered(2), skips=(blind(),))
    memory = openreports.memory_of(as_reports(first))

    assert memory is not None
    assert memory.known == news_of(first).memory.known
    assert memory.blind == news_of(first).memory.blind
    assert openreports.memory_of([{"metadata": {}}, {"metadata": {"annotations": None}}]) is None


def test_what_was_not_checked_is_a_result_of_its_check() -> None:
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}
    skip = replace(blind(), rbac=rule)
    head = as_reports(report(skips=(skip, skip, replace(blind("kong/other"), problem="bug"))))[0]

    by_policy = {result["policy"]: result for result in head["results"]}
    assert by_policy[CHECK]["result"] == "skip"
    assert "secrets" in by_policy[CHECK]["properties"]["rbac"]
    assert by_policy["kong/other"]["result"] == "error"
    assert head["summary"] == {"pass": 0, "fail": 0, "warn": 0, "error": 1, "skip": 1}


def test_low_findings_warn() -> None:
    made = as_reports(report(numbered(1, severity=Severity.LOW), numbered(2)))

    assert made[1]["summary"] == {"pass": 0, "fail": 1, "warn": 1, "error": 0, "skip": 0}


def test_texts_in_reports_are_bounded_and_plain() -> None:
    hostile = numbered(1, message="\x1b]8;;http://evil\x07" * 500)

    (result,) = as_reports(report(hostile))[1]["results"]

    assert len(result["message"]) <= 1024
    assert result["message"].isprintable()


# --- messages ----------------------------------------------------------------------------------

HOSTILE = "<!channel> <@U1> *b* [x](http://evil) :skull: \x1b[2J & \u202e"


@pytest.mark.parametrize("kind", ["webhook", "slack", "teams"])
def test_messages_are_small_and_count_the_rest(kind: str) -> None:
    now = report(*(numbered(n, message="m" * 5000) for n in range(500)))

    body = messages.body(kind, now, news_of(now))

    assert len(body) < 28_000 or kind == "webhook"
    assert b"480" in body


def texts(value: Any) -> list[str]:
    match value:
        case dict():
            return [text for inner in value.values() for text in texts(inner)]
        case list():
            return [text for inner in value for text in texts(inner)]
        case str():
            return [value]
    return []


def test_nothing_from_the_cluster_is_markup_in_slack() -> None:
    now = report(numbered(1, message=HOSTILE))
    target = replace(now.target, context=HOSTILE)

    message = messages.slack(replace(now, target=target), news_of(now))

    assert "<" not in message["text"]
    for block in message["blocks"]:
        assert block["text"]["type"] == "plain_text"
        assert block["text"]["emoji"] is False
        assert len(block["text"]["text"]) <= 3000
    assert len(message["blocks"]) <= 50
    assert not any("\x1b" in text or "\u202e" in text for text in texts(message))


def test_nothing_from_the_cluster_is_markup_in_teams() -> None:
    now = report(numbered(1, message=HOSTILE))

    message = messages.teams(now, news_of(now))

    (attachment,) = message["attachments"]
    for block in attachment["content"]["body"]:
        assert block["type"] == "RichTextBlock"  # a TextBlock would read it as Markdown
    assert not any("\x1b" in text or "\u202e" in text for text in texts(message))


def test_the_generic_message_carries_what_is_new_and_fixed_only() -> None:
    memory = news_of(report(numbered(1), numbered(2))).memory
    now = report(numbered(2), numbered(3))

    message = json.loads(messages.body("webhook", now, news_of(now, memory, hours=1)))

    assert [f["object"]["name"] for f in message["new"]] == ["web-3"]
    assert [f["object"] for f in message["fixed"]] == ["Service shop/web-1"]
    assert message["since"] == "2026-11-21T12:00:00Z"


def test_every_rendering_takes_a_full_report() -> None:
    now = full()
    news = news_of(now)

    for kind in messages.bodies():
        json.loads(messages.body(kind, now, news))
    msgspec.json.encode(as_reports(now))
    summary.termination_message(now, news)


# --- destinations ------------------------------------------------------------------------------


def test_destinations() -> None:
    assert parsed(["termination", "configmap", "configmap=gwdoctor-report"]) == (
        Destination("termination", "/dev/termination-log"),
        Destination("configmap", "gwdoctor-report"),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mail=x", "is none of"),
        ("configmap=", "names nothing"),
        ("configmap=UPPER", "cannot be the name"),
        ("openreports=everywhere", "takes spread"),
        ("file", "needs the name"),
        ("file=/reports/", "needs the name"),
        ("slack", "is read from the environment or a file"),
        ("slack=https://hooks.slack.com/services/T/B/x", "is read from the environment"),
        ("webhook=env:", "is read from the environment"),
        ("webhook=env:A B", "is read from the environment"),
        ("teams=file:relative", "is read from the environment"),
    ],
)
def test_a_destination_that_cannot_be_used(text: str, said: str) -> None:
    with pytest.raises(BadDestination, match=said) as error:
        parsed([text, "configmap"])
    assert "hooks.slack.com" not in str(error.value)


def test_a_webhook_needs_something_that_remembers() -> None:
    with pytest.raises(BadDestination, match="nothing keeps that one"):
        parsed(["slack=env:X", "termination"])
    with pytest.raises(BadDestination, match="named twice"):
        parsed(["file=/a", "file=/b"])
