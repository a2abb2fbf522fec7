"""One API server, asked with patience: retries, one deadline, and errors a person can act on.

The connection pool is the one of the `kubernetes` client; of the rest nothing is used, because
its lists and its credentials cost more and do less (see `access`, `credentials` and `lister`).
"""

from __future__ import annotations

import http.client
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from gwdoctor.source import decode, pace, tls
from gwdoctor.source.access import Access
from gwdoctor.source.batch import NoCluster
from gwdoctor.source.credentials import Credentials, Proof
from gwdoctor.source.deadline import Deadline
from gwdoctor.source.pool import pool_manager
from gwdoctor.version import __version__

if TYPE_CHECKING:
    import ssl

T = TypeVar("T")

JSON = "application/json"
#: How often a request is repeated that failed for a reason that may pass, and how long after.
PAUSES = (0.2, 0.8, 2.4)
#: A server that asks for a longer pause is not waited for.
LONGEST_PAUSE = 60.0
#: What somebody says who does not mean it.
FAR_OFF = 86_400.0
CONNECT_SECONDS = 10.0
#: A server that sends nothing for so long is given up, where --request-timeout says no other.
SILENCE_SECONDS = 30.0
#: An answer larger than this is not one page of a list.
MOST_BYTES = 256 << 20
_PIECE = 1 << 16
_MAY_PASS = frozenset({429, 500, 502, 503, 504})


class Trouble(Exception):
    """A request that failed for good.

    `status` is 0 where no answer came. `is_genuine`: the API server itself says so; a 404 of
    somebody on the way to it does not mean that something is not there.
    """

    def __init__(self, reason: str, status: int = 0, *, is_genuine: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.is_genuine = is_genuine


class OutOfTime(Trouble):
    """The deadline of the run came first."""

    def __init__(self) -> None:
        super().__init__("the deadline of the run (--timeout) came first")


class CutOff(Trouble):
    """An answer that was read as far as it came."""

    def __init__(self, reason: str, begun: bytearray) -> None:
        super().__init__(reason)
        self.begun = begun


@dataclass(slots=True)
class Traffic:
    """What went over the wire."""

    requests: int = 0
    repeated: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Way:
    """What a connection to the API server is made of."""

    server: str
    headers: tuple[tuple[str, str], ...]
    context: ssl.SSLContext | None
    proxy: str


class Connection:
    """Requests to one API server as one user. Safe to use from several threads."""

    def __init__(
        self,
        access: Access,
        *,
        deadline: Deadline,
        request_timeout: float | None = None,
        connections: int = 8,
        compress: bool | None = None,
    ) -> None:
        self.access = access
        self.deadline = deadline
        self.traffic = Traffic()
        self.request_timeout = request_timeout
        self._connections = connections
        self._credentials = Credentials(access, time_left=lambda: deadline.left)
        self._proxy = tls.proxy(access, os.environ)
        self._lock = threading.Lock()
        self._is_closed = False
        self._pool: tuple[str, Any] | None = None  # the certificate it shows, and itself
        if compress is None:  # next to the server, packing takes longer than sending
            host = urlsplit(access.server).hostname or ""
            compress = bool(self._proxy) or not tls.is_local(host)
        self._encoding = "gzip" if compress and not access.cluster.disable_compression else ""

    def get(
        self, path: str, query: Mapping[str, str] | None = None, *, accept: str = JSON
    ) -> bytearray:
        """The body of the answer. Raises Trouble, and NoCluster where we cannot log in."""
        return self._patiently("GET", path, query or {}, {"Accept": accept}, None, _as_it_is)

    def ask(
        self,
        path: str,
        form: decode.Form[T],
        query: Mapping[str, str] | None = None,
        *,
        accept: str = JSON,
    ) -> T:
        """The answer, decoded. Also raises Trouble where it has another form than this."""
        return self._patiently("GET", path, query or {}, {"Accept": accept}, None, form.decode)

    def taste(self, path: str, query: Mapping[str, str], *, most: int, seconds: float) -> bytearray:
        """The beginning of an answer that may not end: so many bytes, what came in so many seconds.

        Asked once, without patience. Raises Trouble where nothing came, and CutOff where the end
        is missing.
        """
        if self.deadline.passed:
            raise OutOfTime
        url = f"{self.access.server}{path}?{urlencode(query)}"
        limit = self.deadline.capped(seconds)
        proof = self._credentials.proof()
        try:
            answer = self._once(
                "GET", url, {"Accept": "*/*"}, None, proof, "", limit=limit, most=most
            )
        except _MayPass as failure:
            raise Trouble(str(failure)) from None
        if answer.status != 200:
            raise _refusal(answer)
        return answer.body

    def post(self, path: str, body: object, form: decode.Form[T]) -> T:
        """The answer to a question that is asked by POST: a review. Nothing is ever written."""
        headers = {"Accept": JSON, "Content-Type": JSON}
        data = msgspec.json.encode(body)
        return self._patiently("POST", path, {}, headers, data, form.decode)

    def dry_run(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: object,
        form: decode.Form[T],
        *,
        content: str = JSON,
    ) -> T:
        """The answer to a change that is asked for and not made: always with `dryRun=All`."""
        return self.write(method, path, {**query, "dryRun": "All"}, body, form, content=content)

    def way(self) -> Way:
        """How to get to the server by a protocol of one's own, as the same user."""
        proof = self._credentials.proof()
        headers = self._headers({}, proof, "")
        del headers["Accept-Encoding"]
        return Way(
            self.access.server,
            tuple((name, value) for name, value in headers.items()),
            tls.context(self.access, proof) if self.access.is_secure else None,
            self._proxy,
        )

    def write(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: object,
        form: decode.Form[T],
        *,
        content: str = JSON,
    ) -> T:
        """The answer to a change that is made. Only `keeping` asks so, which writes reports."""
        headers = {"Accept": JSON, "Content-Type": content}
        data = None if body is None else msgspec.json.encode(body)
        return self._patiently(method, path, query, headers, data, form.decode)

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            self._is_closed = True
            if self._pool is not None:
                self._pool[1].clear()
                self._pool = None

    # --- patience ------------------------------------------------------------------------

    def _patiently(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes | None,
        read: Callable[[bytearray], T],
    ) -> T:
        """What is read of the answer. One that is no JSON was harmed on its way: it is asked again."""
        url = f"{self.access.server}{path}" + (f"?{urlencode(query)}" if query else "")
        encoding = self._encoding
        renewed = False
        pauses = iter(PAUSES)
        while True:
            if self.deadline.passed or self._is_closed:  # nobody waits for it any more
                raise OutOfTime
            proof = self._credentials.proof()
            wait: float | None = None
            try:
                answer = self._once(method, url, headers, body, proof, encoding)
                if answer.status in (200, 201):
                    return _content(answer, path, read)
            except _MayPass as failure:
                trouble = Trouble(str(failure))
                encoding = ""  # a body that could not be unpacked is asked for plain
            else:
                trouble = _refusal(answer)
                if answer.status == 401 and not renewed:
                    renewed = True
                    if self._credentials.renewed(proof):
                        continue
                if answer.status not in _MAY_PASS:
                    raise trouble
                wait = answer.retry_after
            pause = next(pauses, None)
            if pause is None:
                raise trouble
            self._sleep(pause if wait is None else wait, trouble)

    def _sleep(self, seconds: float, trouble: Trouble) -> None:
        if self.deadline.left < 1 <= seconds:
            raise OutOfTime
        if seconds >= min(self.deadline.left, LONGEST_PAUSE):
            when = f"in {seconds:.0f} s" if seconds < FAR_OFF else "another day"
            raise Trouble(f"{trouble}; it asks to come again {when}", trouble.status)
        self._count(repeated=1)
        time.sleep(seconds)

    def _count(self, *, requests: int = 0, repeated: int = 0, size: int = 0) -> None:
        with self._lock:
            self.traffic.requests += requests
            self.traffic.repeated += repeated
            self.traffic.bytes += size

    # --- one request ---------------------------------------------------------------------

    def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        proof: Proof,
        encoding: str,
        *,
        limit: Deadline | None = None,
        most: int | None = None,
    ) -> _Answer:
        """One request. With `most` the answer may be cut off after so many bytes, or at the limit."""
        import urllib3

        limit = limit or self.deadline.capped(self.request_timeout)
        silence = self.request_timeout or SILENCE_SECONDS
        self._count(requests=1)
        try:
            with pace.within(limit, silence):
                response = self._pool_for(proof).request(
                    method,
                    url,
                    body=body,
                    headers=self._headers(headers, proof, encoding),
                    timeout=urllib3.Timeout(
                        connect=min(CONNECT_SECONDS, limit.left), read=min(silence, limit.left)
                    ),
                    preload_content=False,
                    retries=False,
                    redirect=False,
                )
                try:
                    if most is None:
                        content = _body(response, limit)
                    else:
                        content = _beginning(response, limit, most)
                except BaseException:
                    response.close()  # what is left of it would be taken for the next answer
                    raise
            if most is None and not self._is_closed:
                response.release_conn()
            else:
                response.close()
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            if self.deadline.passed:
                raise OutOfTime from None
            if most is None and limit.passed:
                took = f"{limit.seconds:g} s (--request-timeout)"
                raise _MayPass(f"the answer was not there in full after {took}") from None
            raise self._told(error) from None
        except ValueError as error:  # a header or URL that http.client will not send
            raise Trouble(f"{self.access.server} cannot be asked: {error}") from None
        self._count(size=len(content))
        return _Answer(response.status, dict(response.headers.items()), content)

    def _headers(self, given: Mapping[str, str], proof: Proof, encoding: str) -> Any:
        import urllib3

        headers = urllib3.HTTPHeaderDict(given)
        headers["User-Agent"] = f"gwdoctor/{__version__}"
        headers["Accept-Encoding"] = encoding or "identity"
        if proof.authorization:
            headers["Authorization"] = proof.authorization
        for name, value in self._credentials.impersonation():
            headers.add(name, value)
        return headers

    def _told(self, error: Exception) -> Exception:
        """What happened, in words; as _MayPass where it is worth another try."""
        import ssl

        import urllib3.exceptions as e

        for cause in _causes(error):
            if isinstance(cause, ssl.SSLCertVerificationError):
                where = self.access.cluster_where or "the system's authorities"
                return Trouble(
                    f"its certificate is not trusted: {_plain(cause.verify_message)}"
                    f" (certificate-authority in {where})"
                )
            if isinstance(cause, ssl.SSLError) and "ALERT" in str(cause):
                return Trouble(f"the server ends the TLS handshake: {_plain(cause.reason)}")
        match error:
            case e.ProxyError():
                return _MayPass(f"the proxy {_without_login(self._proxy)} does not let us through")
            case e.NameResolutionError():
                return _MayPass("the name of the server cannot be resolved")
            case e.NewConnectionError():
                return _MayPass("the connection is refused")
            case e.ConnectTimeoutError():
                return _MayPass("the server does not answer")
            case e.ReadTimeoutError() | TimeoutError():
                return _MayPass("the server fell silent")
            case e.DecodeError():
                return _MayPass("the answer cannot be unpacked")
            case e.SSLError():
                return _MayPass(f"no TLS connection comes about: {_plain(error)}")
        return _MayPass("the connection broke off in the middle of the answer")

    # --- the pool ------------------------------------------------------------------------

    def _pool_for(self, proof: Proof) -> Any:
        """The pool whose connections show this certificate (an exec plugin may change it)."""
        with self._lock:
            if self._pool is None or self._pool[0] != proof.certificate:
                if self._pool is not None:
                    self._pool[1].clear()
                self._pool = proof.certificate, self._made(proof)
            return self._pool[1]

    def _made(self, proof: Proof) -> Any:
        import urllib3

        cluster = self.access.cluster
        try:
            pool = pool_manager(
                self.access.server,
                connection_pool_maxsize=self._connections,
                tls_server_name=cluster.tls_server_name or None,
                verify_ssl=not cluster.insecure_skip_tls_verify,
                # as Go does, the proxy resolves the name of the server
                proxy=self._proxy.replace("socks5://", "socks5h://", 1) or None,
                no_proxy=None,
                proxy_headers=_proxy_login(self._proxy),
            )
        except Exception as error:  # a proxy URL it cannot read, or SOCKS without PySocks
            proxy = _without_login(self._proxy)
            raise NoCluster(
                f"{self.access.cluster_where}: no connection by the proxy {proxy}: {_plain(error)}"
            ) from None
        if cluster.insecure_skip_tls_verify:  # as it was asked to; a word on each is noise
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        if self.access.is_secure:
            pool.connection_pool_kw["ssl_context"] = tls.context(self.access, proof)
        return pool


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was made from: urllib3 keeps that among the arguments."""
    yield error
    for inner in error.args:
        if isinstance(inner, BaseException):
            yield from _causes(inner)


class _MayPass(Exception):
    """A failure that another try may not meet."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytearray

    @property
    def retry_after(self) -> float | None:
        """In how many seconds it asks to come again. API servers say a number, proxies also a date."""
        text = next((v for k, v in self.headers.items() if k.lower() == "retry-after"), "")
        if text.isdecimal():
            return float(text)
        try:
            when = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        seconds = (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        return seconds if seconds > 0 else None  # a moment that is over, as far as we know


def _body(response: Any, limit: Deadline) -> bytearray:
    """The whole body, in one piece of memory."""
    body = bytearray()
    while piece := response.read1(_PIECE):
        body += piece
        if len(body) > MOST_BYTES:
            raise Trouble(f"an answer is larger than {MOST_BYTES >> 20} MiB (see --chunk-size)")
        if limit.passed:
            raise TimeoutError
    return body


def _beginning(response: Any, limit: Deadline, most: int) -> bytearray:
    """What comes of a body before the limits."""
    import urllib3

    body = bytearray()
    try:
        while len(body) < most:
            if limit.passed:
                raise TimeoutError
            piece = response.read1(min(_PIECE, most - len(body)))
            if not piece:
                break
            body += piece
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
        if not body or response.status != 200:
            raise
        late = isinstance(error, TimeoutError | urllib3.exceptions.ReadTimeoutError)
        raise CutOff("the rest did not come in time" if late else "it broke off", body) from None
    return body


def _as_it_is(body: bytearray) -> bytearray:
    return body


def _content(answer: _Answer, path: str, read: Callable[[bytearray], T]) -> T:
    try:
        return read(answer.body)
    except msgspec.ValidationError as error:
        raise Trouble(f"cannot be read: {decode.where(error)}") from None
    except decode.UNREADABLE:
        if decode.is_web_page(answer.body):
            raise Trouble(f"what answers at {path} is no API server: a web page") from None
        raise _MayPass("the answer is broken JSON") from None
    except decode.OtherAnswer:
        raise _MayPass("the server answers with something else") from None


class _Status(msgspec.Struct):
    kind: str = ""
    message: str = ""
    reason: str = ""


_STATUS = msgspec.json.Decoder(_Status)  # worked out before threads use it: see `discovery`


def _refusal(answer: _Answer) -> Trouble:
    """The server's own words, on one line."""
    try:
        told = _STATUS.decode(answer.body)
    except decode.UNREADABLE:
        told = _Status()
    phrase = http.client.responses.get(answer.status, "")
    words = _plain(told.message or told.reason)[:300] or phrase
    if 300 <= answer.status < 400:
        words = "it sends us elsewhere, as a login page does"
    elif decode.is_web_page(answer.body):
        words = f"{words}, in a web page that is none of the API server's"
    reason = f"the server answers {answer.status}: {words}" if words else f"answers {answer.status}"
    return Trouble(
        reason,
        answer.status,
        is_genuine=told.kind == "Status",
    )


def _plain(error: object) -> str:
    return " ".join(str(error).split())


def _proxy_login(proxy: str) -> Mapping[str, str] | None:
    import urllib3

    parts = urlsplit(proxy)
    if not parts.username:
        return None
    from urllib.parse import unquote

    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return urllib3.make_headers(proxy_basic_auth=pair)


def _without_login(proxy: str) -> str:
    head, _, rest = proxy.rpartition("@")
    return f"{head.partition('://')[0]}://{rest}" if head else proxy
