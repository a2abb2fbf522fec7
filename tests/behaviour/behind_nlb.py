"""The way through an AWS NLB to a real Envoy that takes its routes from a real Envoy Gateway.

The NLB is the only part that is played: what it does follows from the annotations of the Service that
Envoy Gateway has generated. The listeners are ours, on free ports, because the controller's would ask
for fixed ones on every address; their routes are the controller's, over xDS, and change as it says.
"""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from behaviour.real_envoy import ANY_PORT, TYPES, Address, Config, RealEnvoy, connection_manager

SSL_PORTS = "service.beta.kubernetes.io/aws-load-balancer-ssl-ports"
MOST_STEPS = 5


@dataclass(frozen=True)
class Step:
    """A URL, and the status it was answered with; 0 where TLS failed."""

    url: str
    status: int
    body: str = ""


def follow(url: str, service: Mapping[str, Any], envoy: RealEnvoy) -> list[Step]:
    """What a client meets that follows redirects, as curl -L does; its name leads to the NLB."""
    steps: list[Step] = []
    while len(steps) < MOST_STEPS:
        step, location = _through_nlb(url, service, envoy)
        steps.append(step)
        if not location:
            break
        url = location
    return steps


def _through_nlb(url: str, service: Mapping[str, Any], envoy: RealEnvoy) -> tuple[Step, str]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    assert port in {each["port"] for each in service["spec"]["ports"]}, f"no port {port}"
    ended_here = str(port) in service["metadata"].get("annotations", {}).get(SSL_PORTS, "").split(
        ","
    )
    address = envoy.listeners[str(port)]
    assert ended_here <= (parts.scheme == "https"), "clear text to a port on which TLS is ended"
    if parts.scheme == "https" and not ended_here:
        return Step(url, _handshake(address, parts.netloc)), ""
    answer = urllib3.request(
        "GET",
        f"http://{address[0]}:{address[1]}{parts.path}",
        headers={"Host": parts.netloc},
        redirect=False,
        retries=False,
        timeout=30,
    )
    step = Step(url, answer.status, answer.data.decode())
    return step, answer.headers.get("location", "") if answer.status // 100 == 3 else ""


def _handshake(address: Address, name: str) -> int:
    """0 for a handshake that fails: the listener behind an NLB that passes TLS on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with closing(socket.create_connection(address, 30)) as below:
        try:
            context.wrap_socket(below, server_hostname=name)
        except (ssl.SSLCertVerificationError, ConnectionError) as error:
            raise AssertionError("TLS did end somewhere") from error
        except ssl.SSLError:
            return 0
    raise AssertionError("TLS did end somewhere")


def envoy_config(
    gateway: str,
    listeners: Mapping[int, str],
    *,
    controller: int,
    certificates: Path,
    backend: tuple[str, Address],
    folder: Path,
) -> Config:
    """An Envoy of this Gateway (`namespace/name`).

    Its listeners have the ports and names of the Gateway's, and take their routes from the xDS port
    of the controller. The one backend is a cluster of the name that the routes give it.
    """
    ads = {"ads": {}, "resource_api_version": "V3"}
    return {
        "node": {"id": "gwdoctor-test", "cluster": gateway},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [{"envoy_grpc": {"cluster_name": "controller"}}],
            }
        },
        "static_resources": {
            "clusters": [
                _cluster(*backend),
                _controller(controller, certificates),
            ],
            "listeners": [
                {
                    "name": str(port),
                    "address": ANY_PORT,
                    "filter_chains": [
                        {
                            "filters": [
                                connection_manager(
                                    name,
                                    folder,
                                    use_remote_address=True,  # as Envoy Gateway has it
                                    rds={
                                        "route_config_name": f"{gateway}/{name}",
                                        "config_source": ads,
                                    },
                                )
                            ]
                        }
                    ],
                }
                for port, name in listeners.items()
            ],
        },
    }


def _cluster(name: str, address: Address) -> Config:
    socket_address = {"address": address[0], "port_value": address[1]}
    endpoint = {"endpoint": {"address": {"socket_address": socket_address}}}
    return {
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _controller(port: int, certificates: Path) -> Config:
    """The xDS server, which wants the client certificate that Envoy Gateway makes for its proxies."""

    def file(name: str) -> Config:
        return {"filename": str(certificates / name)}

    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {
        **_cluster("controller", ("127.0.0.1", port)),
        "typed_extension_protocol_options": {
            options: {
                "@type": f"type.googleapis.com/{options}",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": f"{TYPES}.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "common_tls_context": {
                    "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
                    "tls_certificates": [
                        {"certificate_chain": file("tls.crt"), "private_key": file("tls.key")}
                    ],
                    "validation_context": {"trusted_ca": file("ca.crt")},
                },
            },
        },
    }


@contextmanager
def application() -> Iterator[Address]:
    """A backend that says which scheme it is told that its client has used."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"the client came by {self.headers['X-Forwarded-Proto']}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield ("127.0.0.1", server.server_address[1])
        server.shutdown()
        thread.join()
