"""Commands that run the service or a part of it."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import threading
from typing import Annotated

import typer
from sqlalchemy.exc import DBAPIError

from syndicator.cli.desk import Desk
from syndicator.operations.render_feeds import render_all
from syndicator.process import share_arenas

MIRROR_SECONDS = 0.2
NICE = 5  # of a worker: on a machine that has too little for both, who waits for a page goes before who waits for a push
log = logging.getLogger(__name__)


def register(app: typer.Typer) -> None:
    for command in (serve, web, worker, scheduler, mirror, demo):
        app.command()(command)


def serve(context: typer.Context) -> int:
    """Run everything: web, timetable and delivery engine in one process tree."""
    from syndicator.serve import serve as run
    from syndicator.storage.schema import upgrade

    desk: Desk = context.obj
    upgrade(desk.engine)
    render_all(desk.house)
    return run(desk.config_path, desk.config)


def web(context: typer.Context) -> int:
    """Run the web server only."""
    from syndicator.serve import run_web

    desk: Desk = context.obj
    return run_web(desk.config_path, desk.config)


def worker(context: typer.Context) -> None:
    """Run the delivery engine only."""
    from syndicator.sending import create_engine

    os.nice(NICE)
    desk: Desk = context.obj
    render_all(desk.house)
    engine = create_engine(desk.house)
    gc.freeze()  # what is loaded stays; looking through it again and again cost a tenth of the processor while sending
    if desk.config.push.executor == "celery":
        from syndicator.delivery.executors.celery import run_worker

        run_worker(desk.config, engine)
    else:
        engine.run(_until_told().is_set)


def scheduler(context: typer.Context) -> None:
    """Run the timetable only; of several, one leads."""
    from syndicator.jobs import Timetable

    desk: Desk = context.obj
    share_arenas()
    stopping = _until_told()
    timetable = Timetable(desk.house, desk.outbound)
    timetable.start()
    stopping.wait()
    timetable.stop()


def mirror(context: typer.Context) -> None:
    """Keep this web machine's copy of the feed documents, where others render them (push.executor = "celery")."""
    from syndicator.operations.mirror import Mirror

    desk: Desk = context.obj
    stopping = _until_told()
    keeping = Mirror(desk.house, f"{socket.gethostname()[:60]}:{desk.config.server.port}")
    while not stopping.is_set():
        try:
            copied = keeping.turn()
        except DBAPIError as error:
            log.warning("mirror waits for the database error=%s", type(error).__name__)
            copied = 0
        if not copied:
            stopping.wait(MIRROR_SECONDS)


def demo(once: Annotated[bool, typer.Option("--once", help="End by itself; fail if a step failed.")] = False) -> int:
    """Watch the whole promise happen on this machine."""
    from syndicator.demo import run_demo

    return run_demo(once=once)


def _until_told() -> threading.Event:
    """Return an event that SIGTERM or SIGINT sets."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    return told
