"""What people read: a table on a terminal, lines in a pipe."""

from __future__ import annotations

import re

import pytest
import reports
from inline_snapshot import snapshot

from gwdoctor import Severity
from gwdoctor.model import Report, Skip
from gwdoctor.render import plain, terminal, words
from gwdoctor.render.words import Ending

END = Ending(1, "2 findings at or above high")
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")
COLOR = re.compile(r"\x1b\[[\d;]*m")


def on_terminal(report: Report, width: int = 80, **more: bool) -> str:
    return terminal.render(report, END, width=width, **more)


def every_rendering(report: Report) -> list[str]:
    return [
        plain.render(report, END),
        plain.render(report, END, wide=True),
        plain.render(report, END, fixes=False),
        *(on_terminal(report, width) for width in (20, 40, 80, 120, 200, 400)),
        on_terminal(report, wide=True),
        on_terminal(report, fixes=False),
    ]


def test_lines() -> None:
    assert plain.render(reports.full(), END) == snapshot("""\
prod-eu1 (https://10.0.0.1:6443) as alice, all namespaces
3 problems: 1 critical, 1 high, 1 low (2 findings below the thresholds not shown). 46 checks, 16400 objects, 1.4 s.

critical  kong/upstream-protocol-missing-47cc1e0a  Service minio/minio: Kong speaks plain HTTP to port 9000 (https)
  because: Ingress minio/minio /spec/rules/0
  because: Service minio/minio
  fix (review): Tell Kong that this backend speaks HTTPS
    # kubectl apply --server-side --force-conflicts --field-manager=gwdoctor-47cc1e0a -f -
    apiVersion: v1
    kind: Service
    metadata:
      name: minio
      namespace: minio
      annotations:
        konghq.com/protocol: https
    ---
    apiVersion: v1
    kind: ConfigMap
    metadata:
      name: 'y'
      namespace: minio
    data:
      'on': '1e3'
    kubectl delete gateway.networking.istio.io old -n web
    kubectl annotate service minio -n minio example.com/key-

high  istio/tls-server-overlap-e49d46d2  Gateway web/old: two servers share a certificate
  decide: Merge the servers, or give each host a certificate of its own

low  tls/certificate-expires-soon-4d627eba  GatewayClass kong: it is cluster-scoped
  decide: Decide

not checked: Namespace: may not be listed (403) [Service minio/minio] (kong/a-b, kong/c-d)
  a role with this rule shows it: {apiGroups: [""], resources: ["namespaces"], verbs: ["get", "list"]}
not checked: a.yaml:3: is not valid YAML

exit 1: 2 findings at or above high
""")


def test_wide_lines() -> None:
    assert plain.render(reports.full(), END, wide=True, fixes=False) == snapshot("""\
prod-eu1 (https://10.0.0.1:6443) as alice, all namespaces
3 problems: 1 critical, 1 high, 1 low (2 findings below the thresholds not shown). 46 checks, 16400 objects, 1.4 s.

critical  kong/upstream-protocol-missing-47cc1e0a  Service minio/minio: Kong speaks plain HTTP to port 9000 (https)
  confidence: likely
  path: /spec/ports/0
  because: Ingress minio/minio /spec/rules/0
  because: Service minio/minio

high  istio/tls-server-overlap-e49d46d2  Gateway web/old: two servers share a certificate
  confidence: likely
  path: /

low  tls/certificate-expires-soon-4d627eba  GatewayClass kong: it is cluster-scoped
  confidence: likely
  path: /

not checked: Namespace: may not be listed (403) [Service minio/minio] (kong/a-b, kong/c-d)
  a role with this rule shows it: {apiGroups: [""], resources: ["namespaces"], verbs: ["get", "list"]}
not checked: a.yaml:3: is not valid YAML

exit 1: 2 findings at or above high
""")


def test_a_terminal_of_80_columns() -> None:
    assert on_terminal(reports.full()) == snapshot("""\
prod-eu1 (https://10.0.0.1:6443) as alice, all namespaces
3 problems: 1 critical, 1 high, 1 low (2 findings below the thresholds not
shown). 46 checks, 16400 objects, 1.4 s.

SEVERITY  FINDING
critical  kong/upstream-protocol-missing-47cc1e0a
          Service minio/minio
          Kong speaks plain HTTP to port 9000 (https)
high      istio/tls-server-overlap-e49d46d2
          Gateway web/old
          two servers share a certificate
low       tls/certificate-expires-soon-4d627eba
          GatewayClass kong
          it is cluster-scoped

kong/upstream-protocol-missing-47cc1e0a
  because: Ingress minio/minio /spec/rules/0
  because: Service minio/minio
  fix (review): Tell Kong that this backend speaks HTTPS
    # kubectl apply --server-side --force-conflicts --field-manager=gwdoctor-47cc1e0a -f -
    apiVersion: v1
    kind: Service
    metadata:
      name: minio
      namespace: minio
      annotations:
        konghq.com/protocol: https
    ---
    apiVersion: v1
    kind: ConfigMap
    metadata:
      name: 'y'
      namespace: minio
    data:
      'on': '1e3'
    kubectl delete gateway.networking.istio.io old -n web
    kubectl annotate service minio -n minio example.com/key-

istio/tls-server-overlap-e49d46d2
  decide: Merge the servers, or give each host a certificate of its own

tls/certificate-expires-soon-4d627eba
  decide: Decide

NOT CHECKED
  Namespace: may not be listed (403) [Service minio/minio]
    kong/a-b, kong/c-d
    a role with this rule shows it: {apiGroups: [""], resources: ["namespaces"],
    verbs: ["get", "list"]}
  a.yaml:3: is not valid YAML

exit 1: 2 findings at or above high
""")


def test_a_terminal_of_160_columns() -> None:
    assert on_terminal(reports.full(), 160, fixes=False) == snapshot("""\
prod-eu1 (https://10.0.0.1:6443) as alice, all namespaces
3 problems: 1 critical, 1 high, 1 low (2 findings below the thresholds not shown). 46 checks, 16400 objects, 1.4 s.

SEVERITY  FINDING                                  OBJECT               MESSAGE
critical  kong/upstream-protocol-missing-47cc1e0a  Service minio/minio  Kong speaks plain HTTP to port 9000 (https)
high      istio/tls-server-overlap-e49d46d2        Gateway web/old      two servers share a certificate
low       tls/certificate-expires-soon-4d627eba    GatewayClass kong    it is cluster-scoped

NOT CHECKED
  Namespace: may not be listed (403) [Service minio/minio]
    kong/a-b, kong/c-d
    a role with this rule shows it: {apiGroups: [""], resources: ["namespaces"], verbs: ["get", "list"]}
  a.yaml:3: is not valid YAML

exit 1: 2 findings at or above high
""")


def test_a_wide_table() -> None:
    table = on_terminal(reports.full(), wide=True, fixes=False).splitlines()[3:7]

    assert table == snapshot(
        [
            "SEVERITY  CONFIDENCE  FINDING                                  OBJECT               PATH           MESSAGE                                      BECAUSE",
            "critical  likely      kong/upstream-protocol-missing-47cc1e0a  Service minio/minio  /spec/ports/0  Kong speaks plain HTTP to port 9000 (https)  Ingress minio/minio /spec/rules/0",
            "                                                                                                                                                Service minio/minio",
            "high      likely      istio/tls-server-overlap-e49d46d2        Gateway web/old                     two servers share a certificate",
        ]
    )


def test_nothing_wrong_and_everything_seen() -> None:
    end = Ending(0, "nothing at or above high")

    assert plain.render(reports.report(), end) == snapshot("""\
prod-eu1 (https://10.0.0.1:6443) as alice, all namespaces
No problem found. 46 checks, 16400 objects, 1.4 s.

exit 0: nothing at or above high
""")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "No problem found. 46 checks, 16400 objects, 1.4 s."),
        ({"seconds": 0.0, "objects": 1}, "No problem found. 46 checks, 1 object."),
        ({"skips": reports.full().skips}, "No problem found in what could be checked; see below"),
        ({"incomplete": True}, "No problem found in what could be checked"),
        ({"ignored": 1}, "No problem found (1 finding below the thresholds not shown)."),
        ({"findings": (reports.finding(),)}, "1 problem: 1 critical."),
        (
            {"findings": (reports.finding(), reports.finding(severity=Severity.LOW))},
            "2 problems: 1 critical, 1 low.",
        ),
    ],
)
def test_the_verdict_is_never_better_than_what_was_seen(
    given: dict[str, object], said: str
) -> None:
    assert words.verdict(reports.report(**given)).startswith(said)


def test_many_checks_with_one_reason_are_counted_and_named_when_asked() -> None:
    names = [f"kong/a-{n}" for n in range(20)] + ["istio/b-c"]
    report = reports.report(skips=[Skip(check=name, reason="no time") for name in names])

    for render in (plain.render(report, END), on_terminal(report)):
        assert "21 checks: 20 of kong, 1 of istio; -o wide names them" in " ".join(render.split())
    for render in (plain.render(report, END, wide=True), on_terminal(report, wide=True)):
        assert all(name in render for name in names)


def test_no_id_is_ever_cut() -> None:
    long = reports.finding("gateway-api/" + "-".join(["very"] * 20))

    for text in every_rendering(reports.report(*reports.full().findings, long)):
        for finding in (*reports.full().findings, long):
            assert finding.id in text


def test_every_fact_is_in_every_rendering() -> None:
    for text in every_rendering(reports.full()):
        flat = " ".join(text.split())
        for fact in (
            "critical",
            "Kong speaks plain HTTP to port 9000 (https)",
            "may not be listed (403)",
            'apiGroups: [""], resources: ["namespaces"], verbs: ["get", "list"]',
            "a.yaml:3: is not valid YAML",
            "kong/a-b",
            "exit 1: 2 findings at or above high",
        ):
            assert fact.replace(" ", "") in flat.replace(" ", "")


def test_nothing_from_a_cluster_reaches_the_terminal_as_markup_or_control() -> None:
    for text in every_rendering(reports.hostile()):
        assert not CONTROL.search(text)
        squeezed = re.sub(r"\s+", "", text)
        assert "[red]x[/red]:warning:[a-z]+[/x]" in squeezed
        assert r"\x1b[2J\x1b]8;;http://x\x07" in squeezed
        assert r"\u202egpj.exe" in squeezed


def test_colour_only_repeats_what_the_words_say() -> None:
    for width in (80, 200):
        colored = on_terminal(reports.full(), width, color=True)

        assert "\x1b[" in colored
        assert COLOR.sub("", colored).split() == on_terminal(reports.full(), width).split()
    lines = plain.render(reports.full(), END, color=True)
    assert COLOR.sub("", lines) == plain.render(reports.full(), END)


def test_a_hostile_cluster_cannot_use_our_colours() -> None:
    for text in (
        on_terminal(reports.hostile(), color=True),
        plain.render(reports.hostile(), END, color=True),
    ):
        assert not CONTROL.search(COLOR.sub("", text))


def test_lines_are_never_folded() -> None:
    message = "word " * 200 + "end"

    text = plain.render(reports.report(reports.finding(message=message)), END)

    assert message in text


def test_a_terminal_is_not_overrun_but_by_what_is_to_be_copied() -> None:
    text = on_terminal(reports.full(), 80, fixes=False)

    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 中", "plain é 中"),
        ("a\x1b[2J", r"a\x1b[2J"),
        ("a\tb\nc\r", r"a\tb\nc\r"),
        ("\u202e\u2066\ufeff\x9b", r"\u202e\u2066\ufeff\x9b"),
        ("\ud800", r"\ud800"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_what_cannot_be_seen_is_made_visible(text: str, shown: str) -> None:
    assert words.visible(text) == shown
