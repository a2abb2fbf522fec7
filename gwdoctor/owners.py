"""Who keeps an object: where a change has to go, so that it is not undone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gwdoctor.model import Resource

#: Field managers that are people with a command, or the machinery of the cluster.
_NO_OWNERS = ("kubectl", "gwdoctor", "before-first-apply", "unknown")


def owner(resource: Resource, managers: Sequence[str] = ()) -> str:
    """Who keeps this object, and what that means for a change; empty where nothing says it.

    `managers` are the field managers of the object, where they are known.
    """
    return next(_said(resource, managers), "")


def _said(resource: Resource, managers: Sequence[str]) -> Iterator[str]:
    for reference in resource.each("metadata", "ownerReferences"):
        if reference.flag("controller"):
            made_by = f"{reference.text('kind')} {reference.text('name')}"
            yield f"made by the controller of {made_by}: a change here is undone; change that object"
    tracking = resource.annotation("argocd.argoproj.io/tracking-id").partition(":")[0]
    application = tracking or resource.label("argocd.argoproj.io/instance")
    if application:
        yield (
            f"Argo CD, application {application}: commit it there, "
            "an apply would be reverted or shown as drift"
        )
    for tool, what in (("helm", "HelmRelease"), ("kustomize", "Kustomization")):
        name = resource.label(f"{tool}.toolkit.fluxcd.io/name")
        if name:
            space = resource.label(f"{tool}.toolkit.fluxcd.io/namespace")
            where = f"{space}/{name}" if space else name
            yield f"Flux, {what} {where}: commit it there, an apply would be reverted"
    release = resource.annotation("meta.helm.sh/release-name")
    if release:
        space = resource.annotation("meta.helm.sh/release-namespace")
        where = f"{space}/{release}" if space else release
        yield f"Helm, release {where}: change its values or chart, the next upgrade may undo an apply"
    if resource.label("app.kubernetes.io/managed-by") == "Helm":
        yield "Helm (it does not say which release): change its values or chart"
    instance = resource.label("app.kubernetes.io/instance")
    if instance:
        yield f"perhaps an application or release named {instance} (app.kubernetes.io/instance)"
    others = [name for name in managers if not name.startswith(_NO_OWNERS)]
    if others:
        yield f"field manager {', '.join(others)}: it may undo a change that is not made through it"
    if managers:
        yield f"applied by hand (field manager {', '.join(managers)})"
