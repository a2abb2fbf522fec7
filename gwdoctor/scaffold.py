"""The first files of a new check."""

from __future__ import annotations

import re
from pathlib import Path

_NAME = re.compile(r"[a-z]+(-[a-z]+)*/[a-z0-9]+(-[a-z0-9]+)+")

_MODULE = '''"""What made this check necessary: a document, an outage, an issue."""

from collections.abc import Iterator

from gwdoctor import Cluster, Finding, Fix, Probe, Resource, Severity, kinds


class {class_name}(Probe):
    """What the users of the site see, in one sentence.

    How it comes about, with the one fact that people get wrong.

    Not a problem where ...

    ```sh
    kubectl get services -A
    ```

    Source: project, file, version.

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {{name: shop, namespace: shop}}
    spec:
      ports: [{{name: web, port: 80}}]
    ```

    ```yaml fixed
    metadata:
      annotations: {{example.com/key: value}}
    ```
    """

    severity = Severity.LOW
    subjects = (kinds.SERVICE,)

    def check(self, service: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A Service that ..."""
        if service.annotation("example.com/key"):
            return
        change = service.changed("metadata", "annotations", "example.com/key", to="value")
        yield self.finding(
            service.at("metadata", "annotations", "example.com/key"),
            "what is there and what it does, with names and values of the cluster",
            fix=Fix("What the change does", (change,)),
        )
'''

_BAD = """# One way to be wrong.
apiVersion: v1
kind: Service
metadata:  # finding: {name}
  name: shop
  namespace: shop
spec:
  ports: [{{name: web, port: 80}}]
"""

_OK = """# The nearest way to be right, and why it is.
apiVersion: v1
kind: Service
metadata:
  name: shop
  namespace: shop
  annotations: {{example.com/key: value}}
spec:
  ports: [{{name: web, port: 80}}]
"""


def begin(root: Path, name: str) -> list[Path]:
    """Write the files of the check `family/what-is-wrong`; raises ValueError where it cannot be."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no id: write family/what-is-wrong, in lower case")
    folder = name.replace("-", "_")
    family, _, module = folder.partition("/")
    class_name = "".join(part.title() for part in module.split("_"))
    cases = root / "tests" / "cases" / folder
    files = {
        root / "checks" / f"{folder}.py": _MODULE.format(class_name=class_name),
        cases / "bad_example.yaml": _BAD.format(name=name),
        cases / "ok_example.yaml": _OK.format(name=name),
    }
    package = root / "checks" / family / "__init__.py"
    if not package.exists():
        files[package] = f'"""{family.replace("_", " ")}."""\n'
    existing = [path for path in files if path.exists()]
    if existing:
        raise ValueError(f"{existing[0].relative_to(root)} exists already")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(files)
