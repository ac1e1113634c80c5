"""The front of a web process: an RSGI application. Polls of public feed documents are answered at once, on the event loop.

Everything else has its body received there (reception.py), and is then the WSGI application's, in a few threads (load.py).
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Coroutine, Generator
from functools import partial
from http import HTTPStatus
from types import coroutine
from typing import IO, TYPE_CHECKING, Any

from syndicator.reasons import Reason
from syndicator.web.byte_layer import Asked, ByteLayer
from syndicator.web.document_answers import Answer
from syndicator.web.gateway import Exchange, Headers, Reply, Scope, call, client_address, environ_of, passed_on
from syndicator.web.load import BUSY, NoRoom, Room
from syndicator.web.meter import asker_of
from syndicator.web.reception import Reception, Refused
from syndicator.web.refusal import refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)

ALWAYS = frozenset({"/healthz"})  # who watches must not take a busy process for a dead one: answered beside the room
FILE_SECONDS = 300.0  # the server opens a file at once; until then it must be there
FAILED = refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here; it has been noted.", reason=Reason.INVALID_REQUEST)


class Front:
    """`app` behind `layer`; each has its own idea of what may be had, and the layer is asked first."""

    def __init__(
        self, app: WSGIApplication, layer: ByteLayer, room: Room, reception: Reception, trusted_proxies: int = 0
    ) -> None:
        self._app, self._layer, self._room, self._reception = app, layer, room, reception
        self._proxies = trusted_proxies

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.set_task_factory(start_at_once)  # type: ignore[arg-type]  # it wants a generic function

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._room.close()

    async def __rsgi__(self, scope: Scope, exchange: Exchange) -> None:
        headers = scope.headers
        asked = Asked(
            scope.method,
            headers.get("accept-encoding"),
            headers.get("if-none-match"),
            headers.get("if-modified-since"),
        )
        given = self._layer.poll(scope.path, asked, lambda: self._asker(scope))
        if given is None:
            await asyncio.sleep(0)  # a task from here on (see start_at_once), which may be timed
            await self._hand_on(scope, exchange)
        elif given.body:
            exchange.response_bytes(given.status, given.headers, given.body)
        else:
            exchange.response_empty(given.status, given.headers)

    async def _hand_on(self, scope: Scope, exchange: Exchange) -> None:
        reply: Reply | Answer
        try:
            if self._proxies and not passed_on(scope) and "x-forwarded-for" in scope.headers:
                # Else the request would pass for one of our own proxy's.
                raise Refused(HTTPStatus.BAD_REQUEST, "X-Forwarded-For is no plain text.", Reason.INVALID_REQUEST)
            async with self._reception.body(scope, exchange, self._asker(scope)) as (body, length):
                reply = await self._work(scope, body, length)
        except Refused as refused:
            reply = refused.answer
        if isinstance(reply.body, bytes):
            exchange.response_bytes(reply.status, reply.headers, reply.body)
        else:
            _send_file(exchange, reply.status, reply.headers, reply.body)

    async def _work(self, scope: Scope, body: bytes, length: int | None) -> Reply | Answer:
        try:
            work = partial(call, self._app, environ_of(scope, body, length))
            if scope.path in ALWAYS:
                return await asyncio.get_running_loop().run_in_executor(None, work)
            return await self._room.do(work)
        except NoRoom:
            return BUSY
        except Exception:
            log.exception("answer failed method=%s path=%s", scope.method, scope.path)
            return FAILED

    def _asker(self, scope: Scope) -> str:
        return asker_of(client_address(scope), passed_on(scope), self._proxies)


def _send_file(exchange: Exchange, status: int, headers: Headers, file: IO[bytes]) -> None:
    """Have the server send `file`, which has no name that could be left behind: it opens our descriptor anew."""
    exchange.response_file(status, headers, f"/dev/fd/{file.fileno()}")
    asyncio.get_running_loop().call_later(FILE_SECONDS, file.close)


def start_at_once(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **kwargs: Any) -> asyncio.Future[Any]:
    """Run `work` until it first waits, without a task; with one from there on. Most polls never wait, and a task costs as much as
    their answer. (A task factory. Since Python 3.12 tasks do it themselves, and are made of no generator.)
    """
    if sys.version_info >= (3, 12):
        return asyncio.Task(work, loop=loop, **{**kwargs, "eager_start": True})
    if not loop.is_running():
        return asyncio.Task(work, loop=loop, **kwargs)
    try:
        waits_for = work.send(None)
    except StopIteration as end:
        done: asyncio.Future[Any] = loop.create_future()
        done.set_result(end.value)
        return done
    except Exception as error:
        done = loop.create_future()
        done.set_exception(error)
        return done
    return asyncio.Task(_go_on(work, waits_for), loop=loop, **kwargs)


@coroutine
def _go_on(work: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
    """Be the rest of `work`, which has come to wait for `waits_for`."""
    while True:
        try:
            given = yield waits_for
        except BaseException as error:  # a task that is cancelled throws it
            step = partial(work.throw, error)
        else:
            step = partial(work.send, given)
        try:
            waits_for = step()
        except StopIteration as end:
            return end.value
