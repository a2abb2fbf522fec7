"""Every host name of every case of the catalogue, walked: nothing falls, and text and JSON agree."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import casefile
import pytest

from gwdoctor.cluster import Cluster, OutOfView
from gwdoctor.model import Target
from gwdoctor.render import walk_document, walk_text
from gwdoctor.render.words import Ending
from gwdoctor.walk import gateways_near, ingresses, istio, kong, request, walks
from gwdoctor.walk.hops import Walk

FAMILIES = {
    name: list(files)
    for name, files in groupby(casefile.case_files(), key=lambda file: file.parts[-3])
}


def urls(cluster: Cluster) -> Iterator[str]:
    """http and https, for every name that something has."""
    found: set[str] = set()
    for system in (gateways_near, istio, kong, ingresses):
        try:
            found |= {name for name, _ in system.names(cluster)}
        except OutOfView:
            continue
    for name in sorted(found):
        yield from (f"{scheme}://{name.replace('*', 'any')}/" for scheme in ("http", "https"))


def walks_of(file: Path) -> Iterator[Walk]:
    text = file.read_text()
    cluster = casefile.cluster_of(
        casefile.documents(text), now=casefile.now_of(text), hidden=casefile.unseen(text)
    )
    for url in urls(cluster):
        try:
            asked = request.asked(url)
        except request.BadRequest:  # names that no client could ask for
            continue
        yield walks.walk(asked, cluster)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_name_of_the_cases_is_walked(family: str) -> None:
    number = 0
    for file in FAMILIES[family]:
        for walk in walks_of(file):
            number += 1
            shown = walk_text.render(walk, Target(), (), Ending(0, ""), width=80)
            found = walk_document.walk(walk, Target(), ())
            assert len(found["steps"]) == len(walk.steps)
            assert walk.state == found["state"]
            hops = [hop for hop in walk.all_hops() if hop.state != "ok"]
            assert all(hop.what in shown for hop in hops)
            for way in (way for step in walk.steps for way in step.ways):
                assert way.answers or way.hops  # whoever does not answer says why
    assert number or family in ("cert_manager", "service", "tls", "envoy_gateway")
