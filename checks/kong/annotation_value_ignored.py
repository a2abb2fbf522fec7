"""Values that do not parse: Kong goes on with its default."""

import re
from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Fix, Probe, Resource, Severity, kinds
from gwdoctor.resolve import ingress, kong_annotations

_UNITS = {"ms": 1, "s": 1000, "m": 60_000}


class AnnotationValueIgnored(Probe):
    """Kong ignores an annotation because its value does not parse.

    There is no event for it. Timeouts are milliseconds without a unit, so `60s` leaves the
    default of 60 s in place; lists are split at commas and not trimmed, so one entry with a
    space in front drops the **whole** list: `GET, POST` admits every method. A redirect code
    other than 301, 302, 307, 308 and 426 leaves 426, and `tls-verify: yes` verifies nothing.

    Not a problem on an Ingress of another controller. An invalid `konghq.com/protocol` is
    reported by kong/upstream-protocol-invalid.

    ```sh
    kubectl get service,ingress,httproute -A -o yaml | grep 'konghq.com/'
    ```

    Source: Kong/kubernetes-ingress-controller internal/dataplane/kongstate/{service,route}.go (3.5).

    ```yaml bad
    apiVersion: v1
    kind: Service
    metadata: {name: slow, namespace: shop, annotations: {konghq.com/read-timeout: 300s}}
    spec: {ports: [{port: 80}]}
    ```

    ```yaml fixed
    apiVersion: v1
    kind: Service
    metadata: {annotations: {konghq.com/read-timeout: "300000"}}
    ```
    """

    severity = Severity.HIGH
    confidence = Confidence.CERTAIN
    subjects = (kinds.SERVICE, *kong_annotations.ROUTES)
    needs = (kinds.INGRESS_CLASS,)
    symptoms = ("Invalid method", "Invalid SNI", "Please use HTTPS protocol")

    def check(self, holder: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Keys that Kong reads here, with a value that it does not take."""
        wrong = [
            (short, field, form)
            for short, field in kong_annotations.of(holder)
            if kong_annotations.reads(holder.ref.kind, short)
            and (form := kong_annotations.FORMS.get(short))
            and field.text()
            and not form.fits(field.text())
        ]
        if not wrong or (
            holder.ref.kind == kinds.INGRESS and ingress.is_foreign(holder, cluster, ingress.KONG)
        ):
            return
        for short, field, form in wrong:
            meant = _meant(field.text())
            fits = form.fits(meant)
            yield self.finding(
                field,
                f"Kong ignores {kong_annotations.PREFIX}{short}: {field.text()!r} is not "
                f"{form.wanted}",
                root=holder,
                severity=form.severity,
                fix=Fix(
                    f"Write {meant}",
                    (holder.changed(*field.path, to=meant),),
                    needs_review=True,
                )
                if fits
                else None,
                advice="" if fits else f"Write {form.wanted}, or remove the annotation",
            )


def _meant(value: str) -> str:
    """The value without spaces, a duration in milliseconds, yes and no as Go spells them."""
    value = re.sub(r"\s+", "", value)
    duration = re.fullmatch(r"(\d+)(ms|s|m)", value)
    if duration:
        return str(int(duration[1]) * _UNITS[duration[2]])
    yes_no = {"yes": "true", "on": "true", "no": "false", "off": "false"}
    return yes_no.get(value.lower(), value)
