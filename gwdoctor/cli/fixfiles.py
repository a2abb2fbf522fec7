"""`gwdoctor fix --files`: the fixes made in the manifests themselves."""

from __future__ import annotations

import os
from collections.abc import Iterable

from gwdoctor.cli import stdout
from gwdoctor.cli.inputs import Seen
from gwdoctor.cli.mistakes import Mistake
from gwdoctor.cli.options import Repair
from gwdoctor.cli.outcome import Exit
from gwdoctor.cli.talk import Talk
from gwdoctor.model import Finding
from gwdoctor.render import words
from gwdoctor.source.editing import Editor, NotPlaced

#: The beginnings of commands that stand for what a manifest cannot say, and an edit can.
_SAID_BY_EDITS = ("kubectl annotate ", "kubectl label ", "kubectl patch ", "kubectl delete ")


def run(findings: Iterable[Finding], seen: Seen, repair: Repair, talk: Talk) -> int:
    """Edit the files, or with --diff only show how; returns the exit code. Raises Mistake."""
    path = str(repair.files)
    if not os.path.exists(path):
        raise Mistake(f"--files: {path} does not exist")
    spaces = seen.namespaces or frozenset()
    default = next(iter(spaces)) if len(spaces) == 1 else "default"
    try:
        editor = Editor([path], default)
        left = sum(not _placed(finding, editor, talk) for finding in findings)
        stdout.write("".join(f"{words.visible(line)}\n" for line in editor.diff().split("\n")[:-1]))
        if not repair.diff:
            for file in editor.write():
                talk.warn(f"edited {file}")
    except NotPlaced as error:
        raise Mistake(f"--files: {error}") from None
    except OSError as error:
        raise Mistake(f"--files: {error.filename or path}: {error.strerror}") from None
    return Exit.FINDINGS if left else Exit.OK


def _placed(finding: Finding, editor: Editor, talk: Talk) -> bool:
    """Whether the fix is in the files now; if not, it is said why."""
    fix = finding.fix
    if fix is None:
        talk.warn(f"{finding.id}: decide: {finding.advice}")
        return False
    if not fix.changes:
        talk.warn(f"{finding.id}: no edit can say it; run: {'; '.join(fix.commands)}")
        return False
    if fix.proof is not None and not fix.proof.holds:
        talk.warn(f"{finding.id}: left as it is, {words.proof(fix.proof)}")
        return False
    try:
        files = editor.apply(fix.changes, finding.field.ref)
    except NotPlaced as error:
        talk.warn(f"{finding.id}: left as it is: {error}")
        return False
    talk.warn(f"{finding.id}: {fix.title} ({', '.join(files)})")
    for command in fix.commands:
        if not command.startswith(_SAID_BY_EDITS):
            talk.warn(f"{finding.id}: then run: {command}")
    return True
