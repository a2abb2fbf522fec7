"""One request on an HTTP/2 connection, and the status of its answer: no more is needed.

RFC 9113 (frames) and RFC 7541 (HPACK): the head of a first answer needs no table of its own, and
of the codes of Huffman only those of digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY = 1, 3, 4, 6, 7
_END_STREAM, _END_HEADERS, _ACK, _PADDED, _PRIORITY = 0x1, 0x4, 0x1, 0x8, 0x20
_STREAM = 1
#: A head is no longer than this before a server must split it.
_LONGEST = 1 << 14
#: The static table: `:status` with these values, from index 8 on.
_STATUSES = (200, 204, 206, 304, 400, 404, 500)


def head(authority: str, send: Callable[[bytes], None], receive: Callable[[], bytes]) -> int:
    """The status that `HEAD /` of an authority gets on this connection; 0 where none comes."""
    block = b"".join(
        (
            b"\x02" + _text("HEAD"),  # :method, as a literal
            b"\x87",  # :scheme https
            b"\x84",  # :path /
            b"\x01" + _text(authority),
            b"\x0f\x2b" + _text("gwdoctor"),  # user-agent
        )
    )
    send(
        _PREFACE + _frame(_SETTINGS) + _frame(_HEADERS, _END_STREAM | _END_HEADERS, _STREAM, block)
    )
    for kind, flags, stream, payload in _frames(receive):
        if kind == _SETTINGS and not flags & _ACK:
            send(_frame(_SETTINGS, _ACK))
        elif kind == _PING and not flags & _ACK:
            send(_frame(_PING, _ACK, 0, payload))
        elif kind == _GOAWAY or (kind == _RESET and stream == _STREAM):
            return 0
        elif kind == _HEADERS and stream == _STREAM:
            return _status(_block(flags, payload))
    return 0


def _text(text: str) -> bytes:
    """A string literal without Huffman's code; names of hosts are short enough for one byte."""
    data = text.encode("ascii", "ignore")[:126]
    return bytes([len(data)]) + data


def _frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream.to_bytes(4, "big") + payload


def _frames(receive: Callable[[], bytes]) -> Iterator[tuple[int, int, int, bytes]]:
    """Type, flags, stream and payload of what comes, until the end or nonsense."""
    held = b""
    while True:
        while len(held) < 9 or len(held) < 9 + int.from_bytes(held[:3], "big"):
            if len(held) >= 9 and int.from_bytes(held[:3], "big") > _LONGEST:
                return
            received = receive()
            if not received:
                return
            held += received
        length = int.from_bytes(held[:3], "big")
        payload, stream = held[9 : 9 + length], int.from_bytes(held[5:9], "big") & 0x7FFFFFFF
        yield held[3], held[4], stream, payload
        held = held[9 + length :]


def _block(flags: int, payload: bytes) -> bytes:
    """The fields of a HEADERS frame, without padding and priority."""
    if flags & _PADDED and payload:
        payload = payload[1 : len(payload) - payload[0]]
    return payload[5:] if flags & _PRIORITY else payload


def _status(block: bytes) -> int:
    """`:status`, which comes first; 0 where it cannot be read."""
    while block and 0x20 <= block[0] < 0x40:  # the size of the table, which does not matter
        block = block[1:]
    if not block:
        return 0
    if 0x88 <= block[0] <= 0x8E:
        return _STATUSES[block[0] - 0x88]
    if block[0] not in (0x08, 0x18, 0x48) or len(block) < 2:
        return 0
    coded, length = block[1] & 0x80, block[1] & 0x7F
    value = block[2 : 2 + length]
    digits = _digits(value) if coded else value.decode("ascii", "replace")
    return int(digits) if digits.isdecimal() and len(digits) == 3 else 0


def _digits(coded: bytes) -> str:
    """Digits in Huffman's code: 0, 1 and 2 have five bits, the others six."""
    bits = "".join(f"{byte:08b}" for byte in coded)
    found = ""
    while len(bits) >= 5:
        five, six = int(bits[:5], 2), int(bits[:6], 2)
        if five <= 2:
            found, bits = found + str(five), bits[5:]
        elif len(bits) >= 6 and 0x19 <= six <= 0x1F:
            found, bits = found + str(six - 0x19 + 3), bits[6:]
        else:
            break
    return found
