"""`--report-to`: the report to where it was asked for, beside what the last one said."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwdoctor import wholefile
from gwdoctor.cli.addresses import address, destinations, is_sent
from gwdoctor.cli.mistakes import Mistake
from gwdoctor.cli.options import Delivery, Input
from gwdoctor.delivery.destinations import HOOKS, MEMORIES, Destination
from gwdoctor.model import Report

if TYPE_CHECKING:
    from gwdoctor.cli.inputs import Seen
    from gwdoctor.cli.talk import Talk
    from gwdoctor.delivery.history import Memory, News
    from gwdoctor.probe import Probe
    from gwdoctor.source.keeping import Keeper
    from gwdoctor.source.outward import Address

Manifest = dict[str, Any]

#: Under which name the CronJob runs that owns what is written; set in its manifest.
CRON_JOB = "GWDOCTOR_CRONJOB"


@dataclass(frozen=True, slots=True)
class Courier:
    """Brings reports to their destinations. Checked when it is made: before the scan."""

    destinations: tuple[Destination, ...]
    keep: int
    addresses: dict[Destination, Address] = field(repr=False)

    @classmethod
    def of(cls, given: Delivery, source: Input) -> Courier:
        """Raises Mistake for options that do not fit."""
        found = destinations(given.report_to)
        if given.keep < 1:
            raise Mistake(f"--keep: {given.keep} is too few; 1 keeps the last run")
        offline = bool(source.filename or source.snapshot)
        for one in found:
            if one.is_in_the_cluster and offline:
                raise Mistake(f"--report-to {one}: files and snapshots have no cluster to write to")
            if one.kind == "file" and (problem := wholefile.refusal(one.value)):
                raise Mistake(f"--report-to {one}: {problem}")
        return cls(found, given.keep, {one: address(one) for one in found if is_sent(one)})

    def deliver(
        self,
        report: Report,
        seen: Seen,
        probes: Collection[type[Probe]],
        *,
        asked: tuple[object, ...],
        talk: Talk,
    ) -> tuple[str, ...]:
        """Deliver it everywhere; returns what did not arrive."""
        if not self.destinations:
            return ()
        keeper = None
        if any(one.is_in_the_cluster for one in self.destinations):
            assert seen.keeper is not None, "files were refused before the scan"
            keeper = seen.keeper()
        try:
            return _Round(self, report, seen, probes, asked, keeper, talk).run()
        finally:
            if keeper is not None:
                keeper.close()


class _Round:
    """One report on its way."""

    def __init__(
        self,
        courier: Courier,
        report: Report,
        seen: Seen,
        probes: Collection[type[Probe]],
        asked: tuple[object, ...],
        keeper: Keeper | None,
        talk: Talk,
    ) -> None:
        self._courier = courier
        self._report = report
        self._seen = seen
        self._checks = {probe.id() for probe in probes}
        self._asked = asked
        self._keeper = keeper
        self._talk = talk
        self._problems: list[str] = []
        self._config_map: Manifest | None = None
        self._there: list[Manifest] = []
        self._owners: list[Manifest] | None = None
        self._unreadable: set[Destination] = set()

    def run(self) -> tuple[str, ...]:
        """Read what was, tell what is new, and remember what is."""
        last, is_known = self._remembered()
        news = self._news(last)
        for line in _said(news):
            self._talk.warn(line)
        memory = news.memory
        for one in self._courier.destinations:
            if one.kind in HOOKS:
                told = is_known and self._attempt(one, self._hook, one, news)
                memory = memory if told else _untold(news)
        for one in self._courier.destinations:
            if one.kind in MEMORIES and (one in self._unreadable or not is_known):
                continue
            match one.kind:
                case "termination":
                    self._attempt(one, _terminate, one, self._report, news)
                case "pushgateway":
                    self._attempt(one, self._push, one)
                case "configmap":
                    self._attempt(one, self._keep_config_map, one, news, memory)
                case "openreports":
                    self._attempt(one, self._keep_reports, one, news, memory)
                case "file":
                    self._attempt(one, self._keep_file, one, news, memory)
        return tuple(self._problems)

    def _attempt(self, one: Destination, way: Callable[..., object], *given: object) -> bool:
        """Go this way, and tell where it leads nowhere."""
        from gwdoctor.source.batch import NoCluster
        from gwdoctor.source.connection import Trouble
        from gwdoctor.source.outward import Undelivered

        try:
            way(*given)
        except (Trouble, NoCluster, Undelivered) as error:
            self._fail(one, str(error))
        except OSError as error:
            self._fail(one, error.strerror or "cannot be written")
        else:
            return True
        return False

    def _fail(self, one: Destination, reason: str) -> None:
        problem = f"{one}: {reason}"
        if problem not in self._problems:
            self._problems.append(problem)
            self._talk.warn(f"--report-to {problem}")

    # --- what was ----------------------------------------------------------------------------

    def _remembered(self) -> tuple[Memory | None, bool]:
        """What the last report remembers, and whether that could be found out.

        Where it could not, nothing is told as new and no memory is overwritten. One that can be
        read is enough.
        """
        found: list[Memory | None] = []
        ways: dict[str, Callable[[Destination], Memory | None]] = {
            "configmap": self._memory_of_config_map,
            "file": _memory_of_file,
            "openreports": self._memory_of_reports,
        }
        by_kind = {one.kind: one for one in self._courier.destinations}
        for one in (by_kind[kind] for kind in MEMORIES if kind in by_kind):
            if not self._attempt(one, _append, found, ways[one.kind], one):
                self._unreadable.add(one)
        last = next((memory for memory in found if memory is not None), None)
        return last, last is not None or not self._unreadable

    def _memory_of_config_map(self, one: Destination) -> Memory | None:
        from gwdoctor.delivery import configmap

        keeper = self._cluster
        self._config_map = keeper.get("v1", "ConfigMap", keeper.home, one.value)
        return None if self._config_map is None else configmap.memory_of(self._config_map)

    def _memory_of_reports(self, one: Destination) -> Memory | None:
        from gwdoctor.delivery import openreports
        from gwdoctor.render.openreports import APIS

        keeper = self._cluster
        spread = bool(one.value)
        for api in APIS:
            if keeper.serves(api.api_version):
                kinds = [(api.kind, "" if spread else keeper.home)]
                kinds += [(api.cluster_kind, "")] if spread else []
                for kind, namespace in kinds:
                    labels = openreports.selector(keeper.home)
                    there = keeper.reports(api.api_version, kind, namespace, labels)
                    # the items of a list do not say what they are
                    head = {"apiVersion": api.api_version, "kind": kind}
                    self._there += [{**item, **head} for item in there]
        return openreports.memory_of(self._there)

    @property
    def _cluster(self) -> Keeper:
        assert self._keeper is not None
        return self._keeper

    def _news(self, last: Memory | None) -> News:
        from gwdoctor.delivery import history

        target = self._report.target
        return history.compared(
            self._report,
            last,
            scope=history.scope_of(target.server, target.namespaces, *self._asked),
            checks=self._checks,
            now=self._seen.now,
        )

    # --- what is -----------------------------------------------------------------------------

    def _hook(self, one: Destination, news: News) -> None:
        from gwdoctor.delivery import messages
        from gwdoctor.source import outward

        if news.is_any:
            body = messages.body(one.kind, self._report, news)
            outward.send(self._courier.addresses[one], body)

    def _push(self, one: Destination) -> None:
        """All metrics of our group anew, so that the Pushgateway forgets those that are gone."""
        from gwdoctor.render import openmetrics
        from gwdoctor.source import outward

        to = self._courier.addresses[one]
        body = openmetrics.render(self._report).encode()
        to = replace(to, path=f"{to.path.rstrip('/')}/metrics/job/gwdoctor")
        outward.send(to, body, content="text/plain; version=0.0.4", method="PUT")

    def _keep_file(self, one: Destination, news: News, memory: Memory) -> None:
        from gwdoctor.delivery import configmap, history

        whole = configmap.run_document(self._report, news)
        whole["memory"] = json.loads(history.encoded(memory))
        wholefile.write(one.value, f"{json.dumps(whole, indent=2)}\n".encode())

    def _keep_config_map(self, one: Destination, news: News, memory: Memory) -> None:
        from gwdoctor.delivery import configmap
        from gwdoctor.render.openreports import MANAGED_BY, SOURCE

        manifest = configmap.manifest(
            one.value,
            self._cluster.home,
            self._report,
            news,
            memory,
            before=self._config_map,
            keep=self._courier.keep,
        )
        manifest["metadata"]["labels"] = {MANAGED_BY: SOURCE}
        self._cluster.apply(self._owned(manifest))

    def _keep_reports(self, one: Destination, news: News, memory: Memory) -> None:
        from gwdoctor.delivery import openreports
        from gwdoctor.render.openreports import APIS
        from gwdoctor.source.connection import Trouble

        keeper = self._cluster
        api = next((a for a in APIS if keeper.serves(a.api_version)), None)
        if api is None:
            raise Trouble(
                "the cluster knows neither Report (openreports.io) nor PolicyReport (wgpolicyk8s.io)"
            )
        made = openreports.manifests(
            self._report, news, memory, api=api, home=keeper.home, spread=bool(one.value)
        )
        for manifest in made:
            self._attempt(one, keeper.apply, self._owned(manifest))
        current = set(map(_identity, made))
        for stale in self._there:
            if _identity(stale) not in current:
                self._attempt(one, keeper.delete, stale)

    def _owned(self, manifest: Manifest) -> Manifest:
        """With the CronJob as its owner, where it stands in the same namespace."""
        if self._owners is None:
            self._owners = self._owner()
        if self._owners and manifest["metadata"].get("namespace") == self._cluster.home:
            manifest["metadata"]["ownerReferences"] = self._owners
        return manifest

    def _owner(self) -> list[Manifest]:
        from gwdoctor.source.connection import Trouble

        name = os.environ.get(CRON_JOB)
        if not name:
            return []
        try:
            return [self._cluster.owner(name)]
        except Trouble as trouble:
            self._talk.warn(f"the report has no owner: CronJob {name}: {trouble}")
            return []


def _append(
    found: list[Memory | None], way: Callable[[Destination], Memory | None], one: Destination
) -> None:
    found.append(way(one))


def _terminate(one: Destination, report: Report, news: News) -> None:
    from gwdoctor.delivery import summary

    with open(one.value, "w", encoding="utf-8") as file:
        file.write(summary.termination_message(report, news))


def _said(news: News) -> list[str]:
    from gwdoctor.delivery import summary

    return summary.changed(news)


def _untold(news: News) -> Memory:
    from gwdoctor.delivery import history

    return history.untold(news)


def _identity(manifest: Manifest) -> tuple[str, ...]:
    metadata = manifest["metadata"]
    return (
        manifest["apiVersion"],
        manifest["kind"],
        metadata.get("namespace", ""),
        metadata["name"],
    )


def _memory_of_file(one: Destination) -> Memory | None:
    from gwdoctor.delivery import history

    try:
        whole = json.loads(Path(one.value).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        raise OSError(0, "holds something else than a report, and is left as it is") from None
    memory = whole.get("memory") if isinstance(whole, dict) else None
    if not isinstance(memory, dict):
        raise OSError(0, "holds something else than a report, and is left as it is")
    return history.decoded(memory)
