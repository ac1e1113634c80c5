"""The timetable: names and intervals, no logic. APScheduler runs it in the one process that holds the lead.

A late job runs once and at once (`misfire_grace_time` None, coalesce), never several times to catch up.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from secrets import token_hex

from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy.orm import Session

from syndicator.carriers import open_carrier
from syndicator.channels.email import Email
from syndicator.clock import ticks, utc_now
from syndicator.delivery.digests import Digests
from syndicator.delivery.engine import count_to_do
from syndicator.delivery.executors.celery import make_celery, ring
from syndicator.delivery.living import Living
from syndicator.delivery.post_office import PostOffice
from syndicator.delivery.trial_talks import TrialTalks
from syndicator.domain.jobs import JobRun
from syndicator.errors import NotFound
from syndicator.house import House
from syndicator.operations import (
    acknowledge,
    audit_heads,
    decide,
    keep_time,
    links,
    pictures,
    republications,
    sign_in,
    tidy,
)
from syndicator.operations.desk_figures import tally_attempts
from syndicator.operations.lead import give_up_lead, take_lead
from syndicator.operations.order_jobs import list_jobs, take_orders
from syndicator.operations.prove_domains import check_due
from syndicator.operations.pull import due_sources, pull_source
from syndicator.operations.remembering import forget_requests
from syndicator.operations.reminders import remind
from syndicator.operations.watch_sources import recheck_withdrawn, report_quiet
from syndicator.outbound import Outbound
from syndicator.proof import Prover, open_resolver
from syndicator.storage.engine import reading

log = logging.getLogger(__name__)
RENEW_SECONDS = 10.0
RECORD_SECONDS = 60.0
BELL_SECONDS = 0.25
PULLS_AT_ONCE = 4
ORDER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Job:
    """`run` does the work and says in a sentence what it did; empty when there was nothing to do."""

    name: str
    every_seconds: int
    run: Callable[[House, Outbound], str]


def _in_transaction(verb: Callable[[Session, House], int], words: str) -> Callable[[House, Outbound], str]:
    def run(house: House, _outbound: Outbound) -> str:
        with house.sessions.begin() as session:
            count = verb(session, house)
        return f"{count} {words}" if count else ""

    return run


def _pull_sources(house: House, outbound: Outbound) -> str:
    with house.sessions() as session:
        due = due_sources(session, house.clock())
    with ThreadPoolExecutor(PULLS_AT_ONCE, thread_name_prefix="pull") as pool:  # one that hangs keeps no other waiting
        for pulled in [pool.submit(pull_source, house, outbound, source_id) for source_id in due]:
            pulled.result()
    return f"{len(due)} sources pulled" if due else ""


def _send_letters(house: House, _outbound: Outbound) -> str:
    sent = PostOffice(house, open_carrier(house.config)).send_owed()
    return f"{sent} letters sent" if sent else ""


def _try_out(house: House, outbound: Outbound) -> str:
    count = TrialTalks(house, outbound).hold_due()
    return f"{count} endpoints tried out" if count else ""


def _send_digests(house: House, _outbound: Outbound) -> str:
    sent = Digests(house, Email(house.config, open_carrier(house.config))).send_due()
    return f"{sent} digests sent" if sent else ""


def _prove_domains(house: House, outbound: Outbound) -> str:
    count = check_due(house, Prover(outbound, open_resolver()))
    return f"{count} sites asked for their proof" if count else ""


def _forget_old(session: Session, house: House) -> int:
    return (
        forget_requests(session, at=house.clock())
        + links.forget_old(session, at=house.clock())
        + sign_in.forget_old(session, at=house.clock())
        + pictures.forget_pictures(session, at=house.clock())
    )


def _check_republications(house: House, outbound: Outbound) -> str:
    count = republications.check_due(house, outbound)
    return f"{count} reported pages looked at" if count else ""


def _note_audit_head(house: House, _outbound: Outbound) -> str:
    with reading(house.sessions) as session:
        return "the head of the audit log noted" if audit_heads.note_head(session, house) else ""


def _recheck_withdrawn(house: House, outbound: Outbound) -> str:
    count = recheck_withdrawn(house, outbound)
    return f"{count} stories taken down that their source withdrew" if count else ""


JOBS = (
    Job("send-letters", 3, _send_letters),
    Job(
        "ask-again",
        15,
        _in_transaction(
            lambda session, house: acknowledge.remind_due(session, house, at=house.clock()), "letters asking to acknowledge"
        ),
    ),
    Job(
        "forget-attempts",
        3600,
        _in_transaction(lambda session, house: tidy.forget_attempts(session, at=house.clock()), "old attempts forgotten"),
    ),
    Job(
        "mend-schedule",
        600,
        _in_transaction(
            lambda session, house: tidy.mend_schedule(session, at=house.clock()), "deliveries put off for too long made due"
        ),
    ),
    Job("try-out", 3, _try_out),
    Job("send-digests", 60, _send_digests),
    Job("prove-domains", 3, _prove_domains),
    Job(
        "auto-approve",
        30,
        _in_transaction(
            lambda session, house: decide.auto_approve(session, house, at=house.clock()), "applications approved by the policy"
        ),
    ),
    Job("remind", 600, _in_transaction(lambda session, house: remind(session, house, at=house.clock()), "reminders written")),
    Job("forget-old-sign-ins", 3600, _in_transaction(_forget_old, "old links, tries, sign-ins and unused pictures deleted")),
    Job(
        "lift-embargoes",
        2,
        _in_transaction(lambda session, house: keep_time.lift_embargoes(session, house, at=house.clock()), "embargoes lifted"),
    ),
    Job(
        "expire-stories",
        10,
        _in_transaction(lambda session, house: keep_time.expire_stories(session, house, at=house.clock()), "stories expired"),
    ),
    Job("pull-sources", 15, _pull_sources),
    Job("recheck-withdrawn", 600, _recheck_withdrawn),
    Job("check-republications", 300, _check_republications),
    Job(
        "report-quiet-sources",
        3600,
        _in_transaction(lambda session, house: report_quiet(session, house, at=house.clock()), "silent sources reported"),
    ),
    Job(
        "tally-attempts",
        60,
        _in_transaction(lambda session, house: tally_attempts(session, at=house.clock()), "attempts summed up by day"),
    ),
    Job(
        "expire-approvals",
        60,
        _in_transaction(lambda session, house: keep_time.expire_approvals(session, house, at=house.clock()), "approvals expired"),
    ),
    Job(
        "end-leases", 60, _in_transaction(lambda session, house: keep_time.end_leases(session, at=house.clock()), "leases ended")
    ),
    Job(
        "forget-requests",
        3600,
        _in_transaction(lambda session, house: forget_requests(session, at=house.clock()), "remembered requests forgotten"),
    ),
    Job("note-audit-head", 3600, _note_audit_head),
    Job(
        "retire-tombstones",
        600,
        _in_transaction(
            lambda session, house: keep_time.retire_tombstones(session, at=house.clock()), "feeds freed of old tombstones"
        ),
    ),
)


def get_job(name: str) -> Job:
    """Return the job called `name`; raises NotFound."""
    for job in JOBS:
        if job.name == name:
            return job
    raise NotFound(f"there is no job {name!r}; there are {', '.join(job.name for job in JOBS)}")


def run_job(job: Job, house: House, outbound: Outbound) -> str:
    """Run `job` now and record how it went; a failure is recorded and raised."""
    with house.sessions.begin() as session:
        record = session.get(JobRun, job.name) or JobRun(job=job.name, failures=0)
        record.started_at, record.finished_at = house.clock(), None
        session.add(record)
    try:
        outcome = job.run(house, outbound)
    except Exception as error:
        _finish(job, house, f"failed: {type(error).__name__}", failed=True)
        raise
    _finish(job, house, outcome, failed=False)
    return outcome


def _finish(job: Job, house: House, outcome: str, *, failed: bool) -> None:
    with house.sessions.begin() as session:
        record = session.get_one(JobRun, job.name)
        record.finished_at, record.outcome = house.clock(), outcome
        record.failures = record.failures + 1 if failed else 0


class Timetable:
    """Runs the jobs while it holds the lead. `start` returns at once; `stop` waits for what is running and gives the lead up."""

    def __init__(self, house: House, outbound: Outbound, jobs: Sequence[Job] = JOBS) -> None:
        self._house, self._outbound, self._jobs = house, outbound, jobs
        self._holder = f"{socket.gethostname()[:40]}:{os.getpid()}:{token_hex(4)}"
        self._led_at = -RENEW_SECONDS  # in ticks: the last time we took or renewed the lead
        self._recorded_at: dict[str, float] = {}
        self._living: Living | None = None
        self._scheduler = BackgroundScheduler(
            timezone="UTC",
            job_defaults={"coalesce": True, "misfire_grace_time": None},
            executors={
                "default": {"type": "threadpool", "max_workers": len(jobs) + 2}
            },  # one that takes long makes no other wait
        )
        for job in jobs:
            self._scheduler.add_job(self._run, "interval", args=[job], seconds=job.every_seconds, id=job.name, max_instances=1)
        self._scheduler.add_job(self._take_orders, "interval", seconds=ORDER_SECONDS, id="orders", max_instances=1)
        if house.config.push.executor == "celery":
            self._bell, self._broker_away = make_celery(house.config), False
            self._scheduler.add_job(self._ring, "interval", seconds=BELL_SECONDS, id="bell", max_instances=1)

    def start(self) -> None:
        self._living = Living(self._house.config.data_dir / "locks", self._holder, kind="timetable")
        with self._house.sessions.begin() as session:
            list_jobs(session, [job.name for job in self._jobs])
        self._scheduler.start()

    def stop(self) -> None:
        self._scheduler.shutdown(wait=True)
        with self._house.sessions.begin() as session:
            give_up_lead(session, self._holder, at=self._house.clock())
        if self._living is not None:
            self._living.close()

    def _run(self, job: Job) -> None:
        """Run one job if we lead. The timetable outlives whatever goes wrong inside a job: it is logged, and tried again."""
        try:
            if self._leads():
                self._run_recorded(job)
        except Exception:
            log.exception("job failed job=%s", job.name)

    def _run_recorded(self, job: Job) -> None:
        """Run `job`. One that runs every few seconds and finds nothing to do is recorded once a minute."""
        due = ticks() - self._recorded_at.get(job.name, -RECORD_SECONDS) >= RECORD_SECONDS
        if due:
            self._recorded_at[job.name] = ticks()
            outcome = run_job(job, self._house, self._outbound)
        else:
            outcome = job.run(self._house, self._outbound)
        if outcome:
            log.info("job done job=%s outcome=%s", job.name, outcome)

    def _take_orders(self) -> None:
        """Begin the jobs that somebody wants now; one that is running at this moment is not begun beside itself."""
        try:
            if not self._leads():
                return
            with self._house.sessions.begin() as session:
                names = take_orders(session)
            for name in names:
                self._recorded_at.pop(name, None)  # who asked for it wants to see how it went
                self._scheduler.modify_job(name, next_run_time=utc_now())
        except Exception:
            log.exception("orders failed")

    def _ring(self) -> None:
        try:
            if not self._leads():
                return
            due = count_to_do(self._house)
            if due:
                ring(self._bell, due)
                self._hear(None)
        except ConnectionError as error:
            self._hear(error)
        except Exception:
            log.exception("bell failed")

    def _hear(self, error: ConnectionError | None) -> None:
        """Say when the broker goes away and when it is back, and not four times a second that it is still away."""
        if error is not None and not self._broker_away:
            log.warning("bell not heard, the broker cannot be used error=%s", error)
        elif error is None and self._broker_away:
            log.warning("bell heard again")
        self._broker_away = error is not None

    def _leads(self) -> bool:
        """Whether we hold the lead; asked of the database only when a third of the lease is over."""
        if ticks() - self._led_at < RENEW_SECONDS:
            return True
        asked_at = ticks()
        self._follow_dead()
        with self._house.sessions.begin() as session:
            leads = take_lead(session, self._holder, at=self._house.clock())
        self._led_at = asked_at if leads else -RENEW_SECONDS
        return leads

    def _follow_dead(self) -> None:
        """End the lease of a leader of this machine that was killed: nobody has to wait until it is over."""
        if self._living is None:
            return
        with self._living.dead() as names:
            if names:
                with self._house.sessions.begin() as session:
                    for name in names:
                        give_up_lead(session, name, at=self._house.clock())
