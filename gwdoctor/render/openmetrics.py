"""The report as metrics: OpenMetrics that older readers of Prometheus' text take as well.

So it can be scraped, pushed to a Pushgateway, or put in the folder of node_exporter's textfile
collector, which knows only gauges and no timestamps of samples: time is a metric of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from gwdoctor.model import Report, Severity
from gwdoctor.render.words import visible
from gwdoctor.version import __version__

#: What the gaps are counted under that belong to no check: documents that could not be read.
INPUT = "input"

Labels = Mapping[str, str]


def render(report: Report) -> str:
    """All metrics; the last line is `# EOF`."""
    return "".join(f"{line}\n" for line in (*_lines(report), "# EOF"))


def _lines(report: Report) -> Iterator[str]:
    yield from _metric(
        "gwdoctor_build_info",
        "Which gwdoctor made the report, and of what.",
        [
            (
                {
                    "version": report.version or __version__,
                    "context": report.target.context,
                    "server": report.target.server,
                },
                1,
            )
        ],
    )
    severities = Counter(str(finding.severity) for finding in report.findings)
    yield from _metric(
        "gwdoctor_findings_by_severity",
        "Findings of the last scan; every severity is there.",
        (({"severity": str(s)}, severities[str(s)]) for s in reversed(Severity)),
    )
    found = Counter((finding.check, str(finding.severity)) for finding in report.findings)
    yield from _metric(
        "gwdoctor_findings",
        "Findings of the last scan, of the checks that found something.",
        (({"check": c, "severity": s}, number) for (c, s), number in sorted(found.items())),
    )
    gaps = Counter(skip.check or INPUT for skip in report.skips)
    yield from _metric(
        "gwdoctor_not_checked",
        "What a check could not look at: silence is not health.",
        (({"check": check}, number) for check, number in sorted(gaps.items())),
    )
    yield from _metric(
        "gwdoctor_incomplete",
        "1 if the deadline ended the last scan before everything was read.",
        [({}, int(report.incomplete))],
    )
    yield from _metric("gwdoctor_checks", "Checks that were run.", [({}, report.checks)])
    yield from _metric("gwdoctor_objects", "Objects that were read.", [({}, report.objects)])
    yield from _metric(
        "gwdoctor_scan_duration_seconds",
        "How long the last scan took; 0 where files were read.",
        [({}, report.seconds)],
    )
    if report.time:
        seen = datetime.fromisoformat(report.time).timestamp()
        yield from _metric(
            "gwdoctor_scan_timestamp_seconds",
            "When the cluster was seen, in seconds since 1970.",
            [({}, seen)],
        )


def _metric(name: str, about: str, samples: Iterable[tuple[Labels, float]]) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} gauge"
    for labels, value in samples:
        told = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items() if text)
        yield f"{name}{{{told}}} {_number(value)}" if told else f"{name} {_number(value)}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _escaped(text: str) -> str:
    """Line ends, the third thing that a label escapes, are visible escapes already."""
    return visible(text).replace("\\", r"\\").replace('"', r"\"")
