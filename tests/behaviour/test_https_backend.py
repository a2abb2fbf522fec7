"""Document 000 with real servers: what a backend that speaks TLS answers to plain HTTP.

These are the two symptoms of the document, and the texts by which a log shows them: those that the check
lists. Which one it is depends on the server alone, so neither rules the other out.
"""

from __future__ import annotations

import http.server
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import certs
import pytest
from behaviour import raw_http
from behaviour.raw_http import Address, Answer, Trust

from gwdoctor.catalogue import catalogue

pytestmark = pytest.mark.slow  # whole processes, again and again

HOST = "minio.example.com"
SYMPTOMS = catalogue()["kong/upstream-protocol-missing"].symptoms
GO_SOURCE = Path(__file__).parent / "tls_only_server.go"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Certificate and key of the backend."""
    folder = tmp_path_factory.mktemp("backend")
    certificate, key = folder / "tls.crt", folder / "tls.key"
    certificate.write_bytes(certs.certificate_pem(dns=[HOST], issuer="self", days=3650))
    key.write_bytes(certs.key_pem("leaf"))
    return certificate, key


@contextmanager
def python_server(certificate: Path, key: Path) -> Iterator[Address]:
    """Python's http.server behind its ssl: like most TLS stacks, it just goes away."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"bucket list")

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            pass  # the handshake that fails is what the test is about

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with Server(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield ("127.0.0.1", server.server_port)
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def go_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    go = shutil.which("go")
    if go is None:
        pytest.skip("needs go to build a Go server")
    program = tmp_path_factory.mktemp("go") / "tls_only_server"
    # As the test bed builds its programs, so that what both need is compiled once.
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    done = subprocess.run(
        [go, "build", "-trimpath", "-o", str(program), str(GO_SOURCE)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return program


@contextmanager
def go_server(program: Path, certificate: Path, key: Path) -> Iterator[Address]:
    process = subprocess.Popen(
        [program, certificate, key],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout
        yield ("127.0.0.1", int(process.stdout.readline()))
    finally:
        process.kill()
        process.communicate()


def test_a_go_server_answers_400_and_says_why(go_program: Path, files: tuple[Path, Path]) -> None:
    with go_server(go_program, *files) as address:
        in_clear = raw_http.plain(address, HOST)
        encrypted = raw_http.https(address, HOST, HOST, Trust(files[0].read_bytes()))

    assert in_clear == Answer(400, "Client sent an HTTP request to an HTTPS server.\n")
    assert any(symptom in in_clear.body for symptom in SYMPTOMS)
    assert encrypted == Answer(200, "bucket list")


def test_another_server_resets_the_connection(files: tuple[Path, Path]) -> None:
    with python_server(*files) as address:
        with pytest.raises(ConnectionResetError) as reset:
            raw_http.plain(address, HOST)
        encrypted = raw_http.https(address, HOST, HOST, Trust(files[0].read_bytes()))

    # nginx, and so Kong, writes number and name of the error as the system gives them.
    number = reset.value.errno
    assert number is not None
    logged = f"readv() failed ({number}: {os.strerror(number)})"
    assert any(symptom.startswith(logged) for symptom in SYMPTOMS), logged
    assert encrypted == Answer(200, "bucket list")
