"""Plugins that Kong was never shipped with."""

import difflib
from collections.abc import Iterator

from gwdoctor import Cluster, Field, Finding, Probe, Resource, Severity, kinds
from gwdoctor.resolve import kong_plugins

#: Of Kong 3.9, open source and Enterprise.
_BUNDLED = frozenset(
    {
        *(
            "acl",
            "acme",
            "ai-prompt-decorator",
            "ai-prompt-guard",
            "ai-prompt-template",
            "ai-proxy",
        ),
        *("ai-request-transformer", "ai-response-transformer", "aws-lambda", "azure-functions"),
        *("basic-auth", "bot-detection", "correlation-id", "cors", "datadog", "file-log"),
        *("grpc-gateway", "grpc-web", "hmac-auth", "http-log", "ip-restriction", "jwt", "key-auth"),
        *("ldap-auth", "loggly", "oauth2", "opentelemetry", "post-function", "pre-function"),
        *("prometheus", "proxy-cache", "rate-limiting", "redirect", "request-size-limiting"),
        *("request-termination", "request-transformer", "response-ratelimiting", "session"),
        *("response-transformer", "standard-webhooks", "statsd", "syslog", "tcp-log", "udp-log"),
        *("zipkin", "openid-connect", "mtls-auth", "rate-limiting-advanced", "request-validator"),
        *("ldap-auth-advanced", "key-auth-enc", "proxy-cache-advanced", "statsd-advanced"),
        *("request-transformer-advanced", "response-transformer-advanced", "kafka-log"),
        *("route-transformer-advanced", "route-by-header", "jwt-signer", "jq", "exit-transformer"),
        *("forward-proxy", "canary", "degraphql", "graphql-proxy-cache-advanced", "kafka-upstream"),
        *("graphql-rate-limiting-advanced", "oauth2-introspection", "mocking", "opa", "saml"),
        *(
            "tls-handshake-modifier",
            "tls-metadata-headers",
            "upstream-timeout",
            "xml-threat-protection",
        ),
        *(
            "websocket-size-limit",
            "websocket-validator",
            "vault-auth",
            "upstream-oauth",
            "app-dynamics",
        ),
        *(
            "header-cert-auth",
            "injection-protection",
            "json-threat-protection",
            "service-protection",
        ),
        *("ai-semantic-cache", "ai-rate-limiting-advanced", "ai-azure-content-safety", "confluent"),
    }
)
#: From posts about renewed certificates that were not served.
_MADE_UP = frozenset(("ssl-cert-reloader",))


class PluginNotInKong(Probe):
    """Kong rejects its whole configuration: a plugin that it does not have.

    `plugin` of a KongPlugin must be one that is installed in the proxy. One unknown name among
    the plugins in use makes Kong refuse the push (`not enabled; add it to the 'plugins'
    configuration property`), and **every** route of the cluster stays as it was.
    `ssl-cert-reloader`, which a post recommends for renewed certificates, does not exist.

    Not a problem for custom plugins, which `KONG_PLUGINS` names: only made-up names and near
    misses of bundled ones are reported. One that nothing uses does no harm yet.

    ```sh
    kubectl get events -A --field-selector reason=KongConfigurationApplyFailed
    ```

    Source: Kong/kong kong/constants.lua and kong/plugins (3.9).

    ```yaml bad
    apiVersion: configuration.konghq.com/v1
    kind: KongPlugin
    metadata: {name: reloader, namespace: shop}
    plugin: ssl-cert-reloader
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {name: shop, namespace: shop, annotations: {konghq.com/plugins: reloader}}
    spec:
      ingressClassName: kong
      defaultBackend: {service: {name: shop, port: {number: 80}}}
    ```
    """

    severity = Severity.CRITICAL
    subjects = (kinds.KONG_PLUGIN, kinds.KONG_CLUSTER_PLUGIN)
    needs = kong_plugins.HOLDERS
    symptoms = (
        "not enabled; add it to the 'plugins' configuration property",
        "failed to apply Kong configuration to",
        "KongConfigurationApplyFailed",
    )

    def check(self, plugin: Resource, cluster: Cluster) -> Iterator[Finding]:
        """A made-up or misspelt name; how bad depends on whether something uses it."""
        name = plugin.text("plugin")
        if not name or name in _BUNDLED or plugin.flag("disabled"):
            return
        close = difflib.get_close_matches(name, sorted(_BUNDLED), n=1, cutoff=0.9)
        if name not in _MADE_UP and not close:
            return
        uses: tuple[Field, ...] = tuple(
            kong_plugins.users(cluster).get((plugin.namespace, plugin.name), ())
        )
        in_use = bool(uses) or plugin.label("global") == "true"
        yield self.finding(
            plugin.at("plugin"),
            f"Kong has no plugin {name}"
            + (f" ({close[0]} is close)" if close else "")
            + (": it rejects the whole configuration" if in_use else ", and nothing uses it yet"),
            root=plugin,
            severity=Severity.CRITICAL if in_use else Severity.LOW,
            because=uses[:10],
            advice="The field plugin cannot be changed: "
            + (f"make a new object with plugin: {close[0]}" if close else "delete this object")
            + " and take its name out of the annotations; a custom plugin must stand in "
            "KONG_PLUGINS of the proxy",
        )
