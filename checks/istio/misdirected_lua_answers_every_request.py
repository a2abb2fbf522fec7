"""Document 002's own remedy, which is an outage."""

import re
from collections.abc import Iterator

from gwdoctor import (
    Cluster,
    Confidence,
    Field,
    Finding,
    Fix,
    OutOfView,
    Probe,
    Resource,
    Severity,
    kinds,
)
from gwdoctor.resolve import istio_mesh, misdirected, overlap_fixes

#: The SNI asked for without a call: Lua yields the function, not its value.
_NOT_CALLED = re.compile(r"\brequestedServerName\b(?!\s*\()")
#: Called with a dot and without `self`: a Lua error, after which Envoy lets the request pass.
_CALLED_WITHOUT_SELF = re.compile(r"\.\s*requestedServerName\s*\(\s*\)")


class MisdirectedLuaAnswersEveryRequest(Probe):
    """An EnvoyFilter's Lua answers 421 to every request of the gateway.

    `streamInfo().requestedServerName` without a call is neither an error nor the SNI: Lua
    yields the bound function, which differs from every host name, so each request is answered
    421, on plain HTTP listeners too. The CRD, istiod's validation and `istioctl analyze`
    accept it, and Envoy logs no Lua error. The SNI is read by a method call:
    `request_handle:streamInfo():requestedServerName()`. Called with a dot and no argument it is
    a Lua error: Envoy lets the request pass, and the filter guards nothing.

    Not a problem where the script only logs. Where the filter's `workloadSelector` selects no
    Pod it does no harm yet, and is told as low.

    Check it yourself: a request whose Host and SNI agree must not be answered 421.

    ```sh
    curl -sk -o /dev/null -w '%{http_code}\\n' --resolve HOST:443:GATEWAY_IP https://HOST/
    ```

    Source: run on Envoy 1.40 with the listeners that istiod 1.32 generates; Lua API of Envoy's
    `StreamInfo` (docs/root/configuration/http/http_filters/lua_filter.rst).

    ```yaml bad
    apiVersion: networking.istio.io/v1alpha3
    kind: EnvoyFilter
    metadata: {name: misdirected-request, namespace: istio-system}
    spec:
      configPatches:
      - applyTo: HTTP_FILTER
        match:
          context: GATEWAY
          listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}
        patch:
          operation: INSERT_BEFORE
          value:
            name: envoy.lua
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
              inlineCode: |
                function envoy_on_request(handle)
                  local sni = handle:streamInfo().requestedServerName
                  if sni ~= "" and sni ~= handle:headers():get(":authority") then
                    handle:respond({[":status"] = "421"}, "Misdirected Request")
                  end
                end
    ```

    ```yaml fixed
    spec:
      configPatches:
      - applyTo: HTTP_FILTER
        match:
          context: GATEWAY
          listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}
        patch:
          operation: INSERT_BEFORE
          value:
            name: envoy.lua
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
              inlineCode: |
                function envoy_on_request(request_handle)
                  local info = request_handle:streamInfo()
                  local sni = info:requestedServerName()
                  if sni == nil or sni == "" then
                    return -- plaintext listener, or a client that sent no SNI
                  end
                  if info:protocol() ~= "HTTP/2" and info:protocol() ~= "HTTP/3" then
                    return -- HTTP/1.1 connections are not coalesced
                  end
                  local host = request_handle:headers():get(":authority")
                  if host == nil then
                    return
                  end
                  host = host:lower():gsub(":%d+$", ""):gsub("%.$", "")
                  if host ~= sni:lower() then
                    request_handle:respond({[":status"] = "421", ["content-type"] = "text/plain"}, "Misdirected Request\\n")
                  end
                end
    ```
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.ENVOY_FILTER, kinds.TRAFFIC_EXTENSION)
    needs = (kinds.POD, kinds.CONFIG_MAP)
    symptoms = ("421 Misdirected Request",)

    def check(self, subject: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Lua that answers 421 and reads the SNI without calling the method."""
        for script in _scripts(subject):
            source = misdirected.without_comments(script.text())
            if "421" not in source:
                continue
            fix = Fix(
                "Ask for the SNI by a method call, and leave plain and HTTP/1.1 requests alone",
                (subject.changed(*script.path, to=overlap_fixes.STRICT_LUA),),
                needs_review=True,
            )
            if _NOT_CALLED.search(source):
                yield self.finding(
                    script,
                    "the Lua compares the function requestedServerName, not its value, "
                    "with the host: every request is answered 421",
                    severity=Severity.LOW if _selects_nothing(subject, cluster) else None,
                    fix=fix,
                    advice="Deleting it stops the 421s at once; servers merged into one entry "
                    "need no such filter",
                )
            elif _CALLED_WITHOUT_SELF.search(source):
                yield self.finding(
                    script,
                    "the Lua calls requestedServerName with a dot, which is an error: "
                    "Envoy lets every request pass, and none is answered 421",
                    title="An EnvoyFilter's Lua fails and guards nothing",
                    severity=Severity.LOW,
                    confidence=Confidence.LIKELY,
                    fix=fix,
                )


def _scripts(subject: Resource) -> Iterator[Field]:
    if subject.ref.kind == kinds.TRAFFIC_EXTENSION:
        yield subject.at("spec", "lua", "inlineCode")
    else:
        yield from (script for _, script in misdirected.scripts(subject))


def _selects_nothing(subject: Resource, cluster: Cluster) -> bool:
    """Whether its selector certainly selects no Pod. One in the root namespace selects anywhere."""
    labels = subject.labels("spec", "workloadSelector", "labels") or subject.labels(
        "spec", "selector", "matchLabels"
    )
    if not labels:
        return False
    everywhere = subject.namespace == istio_mesh.mesh(cluster).root_namespace
    try:
        if everywhere:
            cluster.every(kinds.POD)
        return not cluster.select(kinds.POD, labels, None if everywhere else subject.namespace)
    except OutOfView:  # it may select some
        return False
