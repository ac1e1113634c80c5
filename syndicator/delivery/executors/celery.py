"""Celery: any number of workers on any number of machines, woken by a bell.

The broker carries no work, only a bell: "something is due". A worker that hears it claims from the delivery table and takes turns
until nothing is due, so a lost, doubled or late message changes nothing, and what a dead worker had claimed comes back by itself.
The bell is rung by the timetable's leader while something is due, and by each worker when it starts, since what a dead one had
claimed is due only when somebody looks for the dead; a bell that nobody heard in time is worth nothing and expires.

One worker is one process (pool `solo`): the engine moves hundreds of deliveries at once in its one thread.
"""

from __future__ import annotations

import logging
from threading import Event

from celery import Celery, signals
from celery.exceptions import OperationalError
from kombu.exceptions import OperationalError as BrokerError

from syndicator.config import Config
from syndicator.delivery.engine import Engine

log = logging.getLogger(__name__)

QUEUE = "syndicator"
TASK = "syndicator.send_due"
BELL_EXPIRES_SECONDS = 5.0
BROKER_SECONDS = 2.0
MOST_BELLS = 16  # at a time: one for each five hundred due, so that idle workers join in


def make_celery(config: Config) -> Celery:
    """Return the Celery application for the broker of `config`; nothing is connected yet."""
    app = Celery(QUEUE, broker=config.push.broker_url)
    app.conf.update(
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_timeout=BROKER_SECONDS,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={"socket_connect_timeout": BROKER_SECONDS, "socket_timeout": 30.0, "max_retries": 1},
    )
    return app


def run_worker(config: Config, engine: Engine) -> None:
    """Wait for bells until SIGTERM; what is under way then has its five seconds, and the rest is given back."""
    app, stopping = make_celery(config), Event()

    @app.task(name=TASK)  # type: ignore[untyped-decorator]
    def send_due() -> None:
        engine.work_off(stopping.is_set)

    def shutting_down(**_: object) -> None:
        stopping.set()

    def started(**_: object) -> None:
        ring(app, 0)

    signals.worker_shutting_down.connect(shutting_down, weak=False)
    signals.worker_ready.connect(started, weak=False)
    worker = app.Worker(
        pool="solo",
        concurrency=1,
        loglevel="WARNING",
        without_heartbeat=True,
        without_gossip=True,
        without_mingle=True,
        queues=[QUEUE],
        hostname=f"{engine.worker}@syndicator",
    )
    worker.start()
    engine.drain(seconds=5.0)


def ring(app: Celery, due: int) -> bool:
    """Ring for `due` deliveries; False when the broker cannot be reached, which delays and loses nothing."""
    bells = min(MOST_BELLS, 1 + due // 500)
    try:
        for _ in range(bells):
            app.send_task(TASK, queue=QUEUE, expires=BELL_EXPIRES_SECONDS, retry=False)
    except (BrokerError, OperationalError, OSError) as error:
        log.warning("bell not heard, the broker is away error=%s", type(error).__name__)
        return False
    return True
