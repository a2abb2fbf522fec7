"""Document 002's own remedy, which is an outage."""

import re
from collections.abc import Iterator

from gwdoctor import Cluster, Confidence, Finding, Probe, Resource, Severity, kinds

#: The SNI asked for as a field (`.name`) or without a call: Lua yields the function, not its value.
_NOT_CALLED = re.compile(r"\brequestedServerName\b(?!\s*\()|\.\s*requestedServerName\s*\(")


class MisdirectedLuaAnswersEveryRequest(Probe):
    """An EnvoyFilter's Lua answers 421 to every request of the gateway.

    `streamInfo().requestedServerName` without a call is neither an error nor the SNI: Lua
    yields the bound function, which differs from every host name, so each request is answered
    421, on plain HTTP listeners too. The CRD, istiod's validation and `istioctl analyze`
    accept it, and Envoy logs no Lua error. The SNI is read by a method call:
    `request_handle:streamInfo():requestedServerName()`.

    Not a problem where the filter's `workloadSelector` selects no pod, or where the script
    answers something only after another test that never holds.

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
    """

    severity = Severity.CRITICAL
    confidence = Confidence.CERTAIN
    subjects = (kinds.ENVOY_FILTER,)
    symptoms = ("421 Misdirected Request",)

    def check(self, envoy_filter: Resource, cluster: Cluster) -> Iterator[Finding]:
        """Lua that answers 421 and reads the SNI without calling the method."""
        for patch in envoy_filter.each("spec", "configPatches"):
            config = patch.at("patch", "value", "typed_config")
            for script in (
                config.at("inlineCode"),
                config.at("inline_code"),
                config.at("defaultSourceCode", "inlineString"),
                config.at("default_source_code", "inline_string"),
            ):
                source = _without_comments(script.text())
                if "421" in source and _NOT_CALLED.search(source):
                    yield self.finding(
                        script,
                        "the Lua compares the function requestedServerName, not its value, "
                        "with the host: every request is answered 421",
                        advice="Delete this EnvoyFilter, or call the method: "
                        "request_handle:streamInfo():requestedServerName(); "
                        "merging the servers into one entry makes it unnecessary",
                    )


def _without_comments(lua: str) -> str:
    return re.sub(r"--\[\[.*?\]\]|--[^\n]*", "", lua, flags=re.DOTALL)
