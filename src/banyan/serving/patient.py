"""The server's HTTP/1.1 with a limit to how long the head of a request may take, and how large it may be. Imports little: a new worker reads it first."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS = 10.0  # for the head of a request to arrive
HEADER_BYTES = 32_768
LINGER_SECONDS = 2.0  # in which what a refused client still sends is read and thrown away
REFUSED = b'{"error":{"code":"malformed","message":"This is no HTTP request.","request_id":"","details":{}}}'


class Patient(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, with a limit to how long the head of a request may take and how large it may be."""

    _timer: asyncio.TimerHandle | None = None
    _head = 0
    _refused = False
    _arrived = 0  # bytes of a head that has not ended
    _ended = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Read on, unless this client was refused. The parser tells of a field when it is whole, so bytes of one that does not end are counted here."""
        if self._refused:
            return
        waiting, self._ended = self._timer is not None, False
        super().data_received(data)
        if waiting and self._timer is not None and not self._ended:  # all of it was head
            self._arrived += len(data)
            if self._arrived > HEADER_BYTES:
                self.send_400_response("")

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._unwait()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._head = 0
        self._wait()

    def on_url(self, url: bytes) -> None:
        """Part of the head."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Part of the head."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._arrived, self._ended = 0, True
        self._unwait()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """The one shape of errors, where there is no request yet.

        The line is closed a little later: one that is closed while bytes wait to be read is reset, and the answer is lost with it.
        """
        self._refused = True
        self._unwait()
        head = f"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {len(REFUSED)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + REFUSED)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > HEADER_BYTES:
            raise ValueError("the head of the request is too large")  # the parser ends, and 400 is sent

    def _wait(self) -> None:
        self._unwait()
        self._timer = self.loop.call_later(HEADER_SECONDS, self.timeout_keep_alive_handler)

    def _unwait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
