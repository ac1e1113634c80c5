"""Request bodies are received on the event loop, however slowly they come, so that a slow sender holds no thread.

What has arrived lies in memory until its request has been answered, so it is counted: for everybody, and for each address. The
time for a body is bounded too. A body that broke off is never handed on as if it were whole.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

from syndicator.reasons import Reason
from syndicator.web.document_answers import Answer
from syndicator.web.gateway import Exchange, Scope
from syndicator.web.refusal import RETRY_AFTER_SECONDS, refusal

OF_ALL, OF_ONE = 16, 4  # as many of the largest bodies may be in memory, from everybody and from one address
SECONDS = 60.0


class Refused(Exception):
    """The body is not received to its end; `answer` says why, and ends the connection."""

    def __init__(self, status: HTTPStatus, detail: str, reason: Reason, retry_after_seconds: int | None = None) -> None:
        super().__init__(detail)
        self.answer: Answer = refusal(status, detail, reason=reason, retry_after_seconds=retry_after_seconds, close=True)


@dataclass(slots=True)
class _Arriving:
    """A body, as far as it has come."""

    pieces: list[bytes] = field(default_factory=list)
    size: int = 0

    def whole(self) -> bytes:
        """Return the body, which is held only once from here on."""
        body = b"".join(self.pieces)
        self.pieces.clear()
        return body


class Reception:
    """Receives bodies of up to `most_bytes`, each in at most `seconds`."""

    def __init__(self, most_bytes: int, seconds: float = SECONDS) -> None:
        self._most, self._seconds = most_bytes, seconds
        self._held: Counter[str] = Counter()  # bytes in memory, by who sent them

    @asynccontextmanager
    async def body(self, scope: Scope, exchange: Exchange, asker: str) -> AsyncIterator[tuple[bytes, int | None]]:
        """Give the body and its length, None for no body. One that says it is too long is not received, and one that turns out so
        not to its end: the application refuses either by its length, in its own words. Raises Refused.
        """
        announced, chunked = scope.headers.get("content-length"), "transfer-encoding" in scope.headers
        length = int(announced) if announced is not None and not chunked else None  # the server let nothing else through
        if length is None and not chunked:
            yield b"", None
        elif length is not None and length > self._most:
            yield b"", length
        else:
            arriving = _Arriving()
            try:
                await self._receive(exchange, arriving, length, asker)
                yield arriving.whole(), arriving.size
            finally:
                self._held[asker] -= arriving.size
                self._held += Counter()  # forgets who has none

    async def _receive(self, exchange: Exchange, arriving: _Arriving, length: int | None, asker: str) -> None:
        ends = 0
        try:
            async with asyncio.timeout(self._seconds):
                async for piece in exchange:
                    ends += not piece
                    arriving.pieces.append(piece)
                    arriving.size += len(piece)
                    self._held[asker] += len(piece)
                    if arriving.size > self._most:
                        return
                    self._keep_bounds(asker)
        except TimeoutError:
            late = f"The body did not arrive within {self._seconds:.0f} seconds."
            raise Refused(HTTPStatus.REQUEST_TIMEOUT, late, Reason.INVALID_REQUEST) from None
        # The server hands over an empty piece at the end of a body, and another before it where the sender broke off (or sent
        # trailer fields, which nobody does).
        if arriving.size != length if length is not None else ends != 1:
            raise Refused(HTTPStatus.BAD_REQUEST, "The body ended before it was whole.", Reason.INVALID_REQUEST)

    def _keep_bounds(self, asker: str) -> None:
        if self._held[asker] > self._most * OF_ONE or self._held.total() > self._most * OF_ALL:
            detail = "Too much is being received; please come back."
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, detail, Reason.RATE_LIMITED, RETRY_AFTER_SECONDS)
