"""Webhooks: to the address that was given, and nowhere else; told once, and never lost."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from commandline import BROKEN, CHECK, HEALTHY, Done, Here

from gwdoctor.source import outward
from gwdoctor.source.outward import Undelivered, address, send

KEY = "T0PS3CRET"


class Server(ThreadingHTTPServer):
    """Takes requests, answers what it is told, and keeps what it got."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[int] = []
        self.location = ""
        self.got: list[tuple[str, str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/services/{KEY}?a=b"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.command, self.path, dict(self.headers), body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_PUT = do_POST  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with served() as started:
        yield started


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outward, "PAUSES", (0.0, 0.0))


def to(url: str) -> outward.Address:
    return address(url, "the variable HOOK")


# --- one request -------------------------------------------------------------------------------


def test_it_arrives_as_it_is(server: Server) -> None:
    send(to(server.url), b'{"a": 1}')

    ((method, path, headers, body),) = server.got
    assert (method, path, body) == ("POST", f"/services/{KEY}?a=b", b'{"a": 1}')
    assert headers["Content-Type"] == "application/json"
    assert headers["Host"] == f"127.0.0.1:{server.server_port}"
    assert "Authorization" not in headers


def test_a_login_in_the_address_becomes_a_header(server: Server) -> None:
    send(to(server.url.replace("//", "//me:p%40ss@")), b"")

    assert server.got[0][2]["Authorization"] == "Basic bWU6cEBzcw=="


def test_no_login_goes_over_plain_http() -> None:
    with pytest.raises(Undelivered, match="https:// only"):
        to("http://me:pass@hooks.example.com/x")

    assert to("https://me:pass@hooks.example.com/x").authorization


def test_what_may_pass_is_tried_again(server: Server) -> None:
    server.answers = [503, 429]

    send(to(server.url), b"x")

    assert len(server.got) == 3


def test_what_does_not_pass_is_not(server: Server) -> None:
    server.answers = [404]

    with pytest.raises(Undelivered, match="answers 404 Not Found"):
        send(to(server.url), b"x")
    assert len(server.got) == 1


def test_a_redirect_is_not_followed(server: Server) -> None:
    with served() as elsewhere:
        server.answers, server.location = [302], elsewhere.url
        with pytest.raises(Undelivered, match="answers 302"):
            send(to(server.url), b"x")

        assert not elsewhere.got


def test_no_proxy_is_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with served() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        send(to(server.url), b"x")

        assert not proxy.got
    assert server.got


# --- where to ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fe80::1%25lo]", "2852039166", "0xA9FEA9FE", "0251.0376.0251.0376"]
)
def test_no_spelling_of_the_metadata_address_is_connected_to(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*_: Any, **__: Any) -> socket.socket:
        raise AssertionError("it was connected to")

    monkeypatch.setattr(socket, "create_connection", connect)

    with pytest.raises(Undelivered):
        send(to(f"http://{host}/latest/meta-data"), b"x")


def test_a_name_that_leads_there_is_refused_even_beside_a_good_address(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All addresses are looked at, and the one connected to is one of these: no second lookup."""
    asked = []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, ("127.0.0.1", port)), (*kind, ("169.254.169.254", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    with pytest.raises(Undelivered, match="link-local and metadata"):
        send(to(server.url.replace("127.0.0.1", "innocent.example")), b"x")
    assert asked == ["innocent.example"]
    assert not server.got


@pytest.mark.parametrize(
    "url",
    [
        *("", "hooks.example.com/x", "ftp://h/x", "file:///etc/passwd", "https://", "http://h:x/"),
        *("https://h/a b", "https://h/\r\nX: y", "http://h:99999/", "https://h/\x00"),
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(Undelivered, match="the variable HOOK"):
        to(url)


def test_an_address_does_not_show_its_key() -> None:
    made = to(f"https://me:{KEY}@hooks.example.com/{KEY}")

    assert KEY not in repr(made)
    assert str(made) == "hooks.example.com"


# --- a scan that tells -------------------------------------------------------------------------


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(capsys)


class Scene:
    """Scans of a file that changes, with a webhook and a file that remembers."""

    def __init__(self, here: Here, folder: Path) -> None:
        self._here = here
        self.folder = folder
        self.says(HEALTHY)

    def says(self, *manifests: str) -> None:
        (self.folder / "cluster.yaml").write_text("---\n".join(manifests))

    def scan(self, kind: str = "webhook") -> Done:
        return self._here(
            *("scan", "-f", self.folder / "cluster.yaml", "--select", CHECK, "-o", "json"),
            *("--report-to", f"file={self.folder / 'report.json'}"),
            *("--report-to", f"{kind}=env:HOOK", "--fail-on", "never"),
        )


@pytest.fixture
def scene(here: Here, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setenv("HOOK", server.url)
    return Scene(here, tmp_path)


def test_only_news_is_sent(scene: Scene, server: Server) -> None:
    codes = [scene.scan().code]
    scene.says(HEALTHY, BROKEN)
    codes += [scene.scan().code, scene.scan().code]
    scene.says(HEALTHY)
    codes += [scene.scan().code, scene.scan().code]

    sent = [json.loads(body) for *_, body in server.got]
    assert codes == [0] * 5
    assert [(len(one["new"]), len(one["fixed"])) for one in sent] == [(1, 0), (0, 1)]


def test_what_did_not_arrive_is_told_by_the_next_run(scene: Scene, server: Server) -> None:
    scene.scan()
    scene.says(HEALTHY, BROKEN)
    server.answers = [500, 500, 500]

    failed = scene.scan()
    server.got.clear()
    later, after = scene.scan(), scene.scan()

    assert failed.code == 3
    assert "not delivered" not in failed.out
    assert (later.code, after.code) == (0, 0)
    assert [len(json.loads(body)["new"]) for *_, body in server.got] == [1]


@pytest.mark.parametrize("answer", [404, 500])
def test_the_address_is_never_printed(scene: Scene, server: Server, answer: int) -> None:
    scene.says(BROKEN)
    server.answers = [answer] * 3

    done = scene.scan("slack")

    assert done.code == 3
    assert "127.0.0.1" in done.err
    assert KEY not in done.out + done.err
    assert KEY not in (scene.folder / "report.json").read_text()


def test_a_metadata_address_is_refused_as_a_mistake_of_delivery(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.says(BROKEN)
    monkeypatch.setenv("HOOK", "http://169.254.169.254/latest/")

    done = scene.scan()

    assert done.code == 3
    assert "link-local and metadata addresses" in done.err


@pytest.mark.parametrize(("value", "said"), [("", "is empty"), ("ftp://x", "has to begin with")])
def test_an_address_is_looked_at_before_the_scan(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv("HOOK", value)

    done = scene.scan()

    assert done.code == 2
    assert said in done.err
    assert not done.out


def test_an_address_in_a_file(scene: Scene, here: Here, server: Server, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"{server.url}\n")
    scene.says(BROKEN)

    done = here(
        *("scan", "-f", tmp_path / "cluster.yaml", "--fail-on", "never"),
        *("--report-to", f"file={tmp_path}/r.json", "--report-to", f"teams=file:{tmp_path}/url"),
    )

    assert done.code == 0, done.err
    assert b"AdaptiveCard" in server.got[0][3]


def test_metrics_are_put_to_a_pushgateway(
    here: Here, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATE", f"http://127.0.0.1:{server.server_port}/")
    (tmp_path / "cluster.yaml").write_text(BROKEN)

    done = here(
        *("scan", "-f", tmp_path, "--fail-on", "never", "--report-to", "pushgateway=env:GATE")
    )

    ((method, path, headers, body),) = server.got
    assert done.code == 0, done.err
    assert (method, path) == ("PUT", "/metrics/job/gwdoctor")
    assert headers["Content-Type"].startswith("text/plain")
    assert b"gwdoctor_findings" in body


@pytest.mark.parametrize("content", ["", "[]", "{}", "no json", '{"findings": []}'])
def test_a_file_of_somebody_else_is_left_as_it_is(
    scene: Scene, server: Server, content: str
) -> None:
    scene.says(BROKEN)
    file = scene.folder / "report.json"
    file.write_text(content)

    done = scene.scan()

    assert done.code == 3
    assert "holds something else than a report" in done.err
    assert file.read_text() == content
    assert not server.got


def test_the_file_is_a_report_that_can_be_read(scene: Scene, here: Here) -> None:
    scene.says(BROKEN)
    scene.scan()

    done = here("convert", scene.folder / "report.json", "-o", "json")

    assert done.ids == [CHECK]


def test_files_have_no_cluster_to_write_to(here: Here, tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(BROKEN)

    done = here("scan", "-f", tmp_path, "--report-to", "configmap")

    assert done.code == 2
    assert "no cluster to write to" in done.err
