"""The doctor: looks at each thing the service stands on and says in a line whether it is well, and if not, what to do.

Changes nothing but a probe file that it removes. Never raises for what it finds; a thing that cannot be looked at is not well.
"""

from __future__ import annotations

import shutil
import smtplib
import socket
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from syndicator.carriers import FolderCarrier, SmtpCarrier, open_carrier
from syndicator.delivery.engine import LOOK_FOR_DEAD_SECONDS
from syndicator.delivery.executors.celery import count_unheard, make_celery
from syndicator.documents import DamagedDocument, DocumentNotFound, private_folder, public_folder, read_document
from syndicator.domain.feeds import FORMATS, FeedState
from syndicator.domain.jobs import JobRun, LeaderLease
from syndicator.domain.letters import Letter, LetterState
from syndicator.errors import MailDeferred, MailRefused
from syndicator.house import House
from syndicator.static_copy import is_shown
from syndicator.storage.engine import reading
from syndicator.storage.revision import current_revision, newest_revision

LEAST_FREE_BYTES = 512 * 1024 * 1024
LARGEST_CLOCK_DIFFERENCE = timedelta(seconds=5)
LETTERS_WAIT = timedelta(minutes=60)
CONNECT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one thing; `words` is one line."""

    name: str
    ok: bool
    words: str


def examine(house: House) -> list[Finding]:
    """Look at everything, in the order in which things depend on each other."""
    return [_look(name, look, house) for name, look in LOOKS.items()]


def _look(name: str, look: Callable[[House], tuple[bool, str]], house: House) -> Finding:
    try:
        ok, words = look(house)
    except SQLAlchemyError as error:
        ok, words = False, f"the database does not answer as it should ({type(error).__name__})"
    except OSError as error:
        ok, words = False, f"{error.strerror or type(error).__name__}{f': {error.filename}' if error.filename else ''}"
    return Finding(name, ok, " ".join(words.split()))


def _config(house: House) -> tuple[bool, str]:
    site = house.config.site
    return True, f"{site.name} at {site.base_url}, {len(house.catalogue.feeds)} feeds"


def _database(house: House) -> tuple[bool, str]:
    found, newest = current_revision(house.engine), newest_revision()
    kind = house.engine.dialect.name
    if found is None:
        return False, f"{kind}: empty; run `syndicator db upgrade`"
    if found != newest:
        return False, f"{kind}: at revision {found}, this version needs {newest}; run `syndicator db upgrade`"
    return True, f"{kind}: reachable, at revision {found}"


def _clock(house: House) -> tuple[bool, str]:
    with reading(house.sessions) as session:
        theirs = session.scalars(select(func.current_timestamp())).one()
    if isinstance(theirs, str):  # SQLite's CURRENT_TIMESTAMP: UTC, as text
        theirs = datetime.fromisoformat(theirs)
    theirs = theirs.replace(tzinfo=UTC) if theirs.tzinfo is None else theirs
    difference = abs(theirs - house.clock())
    words = f"{difference.total_seconds():.0f} s between this machine and the database"
    if difference > LARGEST_CLOCK_DIFFERENCE:
        return False, f"{words}; embargoes and approvals need right clocks, check time synchronisation"
    return True, words


def _disk(house: House) -> tuple[bool, str]:
    folder = house.config.data_dir
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"x" * 4096)
        probe.flush()
    free = shutil.disk_usage(folder).free
    return free >= LEAST_FREE_BYTES, f"{folder} can be written, {free // 1024**2} MiB free"


def _keys(house: House) -> tuple[bool, str]:
    folder = house.config.data_dir / "keys"
    files = [folder, *sorted(folder.iterdir())]
    open_ones = [file.name for file in files if file.stat().st_mode & 0o077]
    if open_ones:
        return False, f"can be read by others than their owner: {', '.join(open_ones)}; run chmod -R go= {folder}"
    return True, f"{len(files) - 1} files that only their owner can read"


def _mail(house: House) -> tuple[bool, str]:
    carrier = open_carrier(house.config)
    if isinstance(carrier, FolderCarrier):
        existing = next(above for above in (carrier.folder, *carrier.folder.absolute().parents) if above.exists())
        with tempfile.TemporaryFile(dir=existing):
            return True, f"letters are put into {carrier.folder}, none is sent"
    parts = urlsplit(house.config.mail.url)
    where = f"{parts.hostname}:{parts.port or (smtplib.SMTP_SSL_PORT if parts.scheme == 'smtps' else smtplib.SMTP_PORT)}"
    try:
        with SmtpCarrier(house.config.mail.url).conversation() as server:
            server.noop()
    except (MailRefused, MailDeferred) as error:
        return False, f"{where} cannot be used: {error}"
    return True, f"{where} answers"


def _letters(house: House) -> tuple[bool, str]:
    at = house.clock()
    with reading(house.sessions) as session:
        failed = session.scalar(select(func.count()).select_from(Letter).where(Letter.state == LetterState.FAILED)) or 0
        oldest = session.scalar(select(func.min(Letter.created_at)).where(Letter.state == LetterState.OWED))
    if oldest is not None and at - oldest > LETTERS_WAIT:
        return False, f"one has been waiting for {int((at - oldest).total_seconds() // 60)} minutes; see Letters at the desk"
    return True, f"none waits; {failed} could not be sent" if failed else "none waits"


def _outbound(house: House) -> tuple[bool, str]:
    rules = house.config.outbound
    if not ssl.create_default_context().cert_store_stats()["x509_ca"]:
        return False, "no certificate authorities are known here, so no TLS server can be trusted; install ca-certificates"
    if rules.egress_proxy:
        proxy = urlsplit(rules.egress_proxy)
        try:
            socket.create_connection((proxy.hostname, proxy.port or 3128), CONNECT_SECONDS).close()
        except OSError as error:
            return False, f"the egress proxy cannot be reached ({error.strerror or type(error).__name__})"
    allowed = ", ".join(map(str, rules.allow_networks))
    return True, f"public addresses{f' and {allowed}' if allowed else ''}, {'by the proxy' if rules.egress_proxy else 'directly'}"


def _broker(house: House) -> tuple[bool, str]:
    if house.config.push.executor == "local":
        return True, "none is needed"
    app = make_celery(house.config)
    where = app.connection_for_write().as_uri()  # without the password
    try:
        unheard = count_unheard(app)
    except ConnectionError as error:
        return False, f"{where} cannot be used ({error}); workers look by themselves every {LOOK_FOR_DEAD_SECONDS:.0f} s"
    return True, f"{where} answers; {unheard} bells wait to be heard"


def _feeds(house: House) -> tuple[bool, str]:
    with reading(house.sessions) as session:
        states = {state.feed: state for state in session.scalars(select(FeedState))}
    lacking = []
    for feed in house.catalogue:
        state = states.get(feed.name)
        folder = (public_folder if feed.public else private_folder)(house.config.data_dir)
        try:
            for name in FORMATS:
                read_document(folder / f"{feed.name}.{name}")
            if state is None or state.rendered_seq < state.changed_seq:
                lacking.append(f"{feed.name} is stale")
        except DocumentNotFound:
            lacking.append(f"{feed.name} has not been rendered")
        except DamagedDocument:
            lacking.append(f"{feed.name} is damaged")
    if lacking:
        return False, f"{'; '.join(lacking)}; the worker renders them: is it running?"
    return True, f"{len(house.catalogue.feeds)} feeds are fresh"


def _static_copy(house: House) -> tuple[bool, str]:
    static, documents = house.config.static_dir, public_folder(house.config.data_dir)
    if static is None:
        return True, "none is kept"
    closed = [str(folder) for folder in (static, *static.parents) if not folder.stat().st_mode & 0o011]
    if closed:
        return False, f"nginx may not look into {', '.join(closed)}; choose another site.static_dir, or open it"
    keys = [f"{feed.name}.{name}" for feed in house.catalogue if feed.public for name in FORMATS]
    lacking = [key for key in keys if not is_shown(static, documents, key)]
    if lacking:
        return False, f"{static} does not show {', '.join(lacking)} as they are; the log says why, a restart looks again"
    return True, f"{static} shows what nginx should give"


def _timetable(house: House) -> tuple[bool, str]:
    now = house.clock()
    with reading(house.sessions) as session:
        holder = session.scalars(select(LeaderLease).where(LeaderLease.until > now)).first()
        runs = session.scalars(select(JobRun).where(JobRun.started_at.is_not(None)).order_by(JobRun.started_at.desc())).all()
    failing = [f"{run.job} ({run.failures} times)" for run in runs if run.failures]
    if failing:
        return False, f"jobs that keep failing: {', '.join(failing)}"
    if holder is None:
        last = f"last ran {runs[0].started_at:%Y-%m-%d %H:%M:%S} UTC" if runs else "has never run"
        return False, f"nobody runs it, it {last}; start `syndicator serve` or `syndicator scheduler`"
    return True, f"run by {holder.holder}"


LOOKS: dict[str, Callable[[House], tuple[bool, str]]] = {
    "config": _config,
    "database": _database,
    "clock": _clock,
    "disk": _disk,
    "keys": _keys,
    "mail": _mail,
    "letters": _letters,
    "outbound": _outbound,
    "broker": _broker,
    "feeds": _feeds,
    "static copy": _static_copy,
    "timetable": _timetable,
}
