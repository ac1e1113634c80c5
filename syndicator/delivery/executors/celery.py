"""Celery: any number of workers on any number of machines, woken by a bell.

The broker carries no work, only a bell: "something is due". A worker that hears it claims from the delivery table and takes turns
until nothing is due, so a lost, doubled or late message changes nothing. It also looks now and then without having been rung for:
what a dead worker had claimed is found only by looking, and a broker that is away must delay and not stop us. The timetable's
leader rings while something is due. A bell that nobody heard in time is worth nothing and expires, and where enough wait to be
heard no more are rung, so that a broker without workers does not fill up.

One worker is one process with two threads: Celery's, which answers the broker however long a fan-out takes (RabbitMQ hangs up on
who is silent for two heartbeats), and the engine's, which moves hundreds of deliveries at once.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from time import sleep

from celery import Celery, signals
from celery.worker.consumer import Consumer
from kombu.connection import Connection
from kombu.exceptions import OperationalError

from syndicator.config import Config
from syndicator.delivery.engine import LOOK_FOR_DEAD_SECONDS, Engine

QUEUE = "syndicator"
TASK = "syndicator.send_due"
BELL_EXPIRES_SECONDS = 5.0
BROKER_SECONDS = 2.0
REFUSED_SECONDS = 5.0
MOST_BELLS = 16  # at a time: one for each five hundred due, so that idle workers join in


class PatientConsumer(Consumer):  # type: ignore[misc]
    """Hears the bells. Where the broker refuses us (a wrong password, a missing virtual host) it waits before it asks again."""

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        super().on_connection_error_before_connected(exc)
        sleep(REFUSED_SECONDS)


def make_celery(config: Config) -> Celery:
    """Return the Celery application for the broker of `config`; nothing is connected yet."""
    app = Celery(QUEUE, broker=config.push.broker_url)
    app.conf.update(
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_consumer=PatientConsumer,
        worker_enable_remote_control=False,  # nobody needs it, and it would want queues and rights of its own
        worker_cancel_long_running_tasks_on_connection_loss=True,  # there are none; False warns at each loss
        broker_connection_timeout=BROKER_SECONDS,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_transport_options={
            "socket_connect_timeout": BROKER_SECONDS,
            "socket_timeout": 30.0,
            "read_timeout": BROKER_SECONDS,  # RabbitMQ: of the good-bye as well, which a frozen one never says
            "confirm_publish": True,  # RabbitMQ: that it refuses a bell is told at once
            "max_retries": 1,
            "interval_start": 0.0,
        },
    )
    if config.push.broker_url.startswith("amqps:"):
        app.conf.broker_use_ssl = {"server_hostname": None}  # that of the URL; left out, a certificate for any name would do
    return app


def run_worker(config: Config, engine: Engine) -> None:
    """Send what is due until SIGTERM; what is under way then has its five seconds, and the rest is given back.

    Raises what the engine raises, after Celery has ended too.
    """
    app, bell, stopping = make_celery(config), Event(), Event()

    @app.task(name=TASK)  # type: ignore[untyped-decorator]
    def send_due() -> None:
        bell.set()

    def work() -> None:
        while not stopping.is_set():
            bell.clear()
            engine.work_off(stopping.is_set)
            bell.wait(LOOK_FOR_DEAD_SECONDS)
        engine.drain(seconds=5.0)

    def stop(**_: object) -> None:
        stopping.set()
        bell.set()

    signals.worker_shutting_down.connect(stop, weak=False)
    worker = app.Worker(
        pool="solo",
        concurrency=1,
        loglevel="WARNING",
        quiet=True,
        without_heartbeat=True,
        without_gossip=True,
        without_mingle=True,
        queues=[QUEUE],
        hostname=f"{engine.worker}@syndicator",
    )
    with ThreadPoolExecutor(1, "engine") as aside:
        working = aside.submit(work)
        working.add_done_callback(_end_after_fault)
        try:
            worker.start()
        finally:
            stop()
        working.result()


def _end_after_fault(working: Future[None]) -> None:
    """Have this process end, and be started anew, when the engine did not end in order: a worker that hears bells and does
    nothing would look alive."""
    if working.exception() is not None:
        os.kill(os.getpid(), signal.SIGTERM)


def ring(app: Celery, due: int) -> None:
    """Ring for `due` deliveries, unless enough bells wait to be heard. Raises ConnectionError with a word why when the broker
    cannot be used, which delays and loses nothing."""
    with _broker(app) as connection:
        for _ in range(min(MOST_BELLS, 1 + due // 500) - _count_unheard(app, connection)):
            app.send_task(TASK, queue=QUEUE, expires=BELL_EXPIRES_SECONDS, connection=connection, retry=False)


def count_unheard(app: Celery) -> int:
    """Say how many bells wait to be heard; raises ConnectionError as `ring` does."""
    with _broker(app) as connection:
        return _count_unheard(app, connection)


def _count_unheard(app: Celery, connection: Connection) -> int:
    queue = app.amqp.queues[QUEUE].bind(connection.default_channel)
    return int(queue.queue_declare().message_count)


@contextmanager
def _broker(app: Celery) -> Iterator[Connection]:
    """Yield a connection, which is used again unless something went wrong; then ConnectionError is raised, whatever it was."""
    errors = app.connection_for_write()
    try:
        with app.pool.acquire(block=True) as connection:
            yield connection
    except (OperationalError, *errors.connection_errors, *errors.channel_errors) as error:
        raise ConnectionError(type(error.__cause__ or error).__name__) from error
