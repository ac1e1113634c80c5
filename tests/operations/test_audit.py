"""The audit log: whatever is done to it behind our back, its proof finds it (reliability S11)."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from syndicator.domain.audit import GENESIS, AuditEntry, hash_of
from syndicator.domain.base import Counter
from syndicator.house import House
from syndicator.operations import audit
from syndicator.operations.audit_heads import FILE, newest_head, note_head, prove_log
from tests.clocks import HandClock

ENTRIES = 20
TAMPERINGS = 1000


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One kind of database is enough: hashes are equal on both, and the proof reads whole rows."""
    return sqlite_url


@pytest.fixture
def logged(house: House, clock: HandClock) -> House:
    """A house with a log of some length, whose head was noted just before the last entry."""
    for number in range(ENTRIES):
        with house.sessions.begin() as session:
            if number == ENTRIES - 1:
                note_head(session, house)
            details = {"number": number, "reason": f"because of {number}", "until": None}
            audit.record(session, f"{number % 3}@desk.example", "publisher.approve", f"pub_{number}", at=clock(), **details)
        clock.advance(timedelta(minutes=7))
    return house


def edit(session: Session, chance: Random) -> None:
    """Change one value of one entry."""
    seq = chance.randint(1, ENTRIES)
    entry = session.get_one(AuditEntry, seq)
    name = chance.choice(["at", "actor", "action", "subject", "details", "previous_hash", "entry_hash"])
    values = {
        "at": entry.at + timedelta(microseconds=chance.choice([-1, 1, 3600])),
        "details": entry.details | {"number": -1} if chance.random() < 0.5 else {},
    }
    wanted = values.get(name, str(getattr(entry, name))[:-1] + chance.choice("xyz"))
    session.expunge_all()
    session.execute(update(AuditEntry).where(AuditEntry.seq == seq).values({name: wanted}))


def remove_some(session: Session, chance: Random) -> None:
    first = chance.randint(1, ENTRIES)
    session.execute(delete(AuditEntry).where(AuditEntry.seq.between(first, first + chance.choice([0, 0, 1, 5]))))


def reorder(session: Session, chance: Random) -> None:
    """Let two entries change places, with their hashes or without."""
    one, other = sorted(chance.sample(range(1, ENTRIES + 1), 2))
    if chance.random() < 0.5:
        for old, new in ((one, -1), (other, one), (-1, other)):
            session.execute(update(AuditEntry).where(AuditEntry.seq == old).values(seq=new))
        return
    rows = [session.get_one(AuditEntry, seq) for seq in (one, other)]
    contents = [{name: getattr(row, name) for name in ("at", "actor", "action", "subject", "details")} for row in rows]
    session.expunge_all()
    for seq, content in zip((one, other), reversed(contents), strict=True):
        session.execute(update(AuditEntry).where(AuditEntry.seq == seq).values(content))


def truncate(session: Session, chance: Random) -> None:
    """Cut the end off; sometimes the counter is set back too, as by somebody who knows how it works."""
    cut = chance.randint(1, ENTRIES - 2)
    session.execute(delete(AuditEntry).where(AuditEntry.seq > cut))
    if chance.random() < 0.5:
        session.execute(update(Counter).where(Counter.name == "audit").values(value=cut))


def rewrite(session: Session, chance: Random) -> None:
    """Change an entry and make all hashes anew, as by somebody who has read our code."""
    changed, previous = chance.randint(1, ENTRIES - 1), GENESIS
    for entry in session.scalars(select(AuditEntry).order_by(AuditEntry.seq)):
        if entry.seq == changed:
            entry.actor = "nobody@desk.example"
        entry.previous_hash = previous
        entry.entry_hash = previous = hash_of(
            previous, entry.seq, entry.at, entry.actor, entry.action, entry.subject, entry.details
        )
    session.flush()


def test_any_of_a_thousand_tamperings_is_found(logged: House) -> None:
    chance = Random(11)
    with logged.sessions() as session:
        assert prove_log(session, logged) == []
    for number in range(TAMPERINGS):
        tamper = chance.choice([edit, remove_some, reorder, truncate, rewrite])
        with logged.sessions() as session:
            tamper(session, chance)
            session.expire_all()
            assert prove_log(session, logged), f"{tamper.__name__}, number {number}"
            session.rollback()
    with logged.sessions() as session:
        assert prove_log(session, logged) == []


def test_a_head_kept_elsewhere_proves_what_the_file_here_no_longer_can(logged: House) -> None:
    with logged.sessions() as session:
        kept = newest_head(session, logged.vault)
    (logged.config.data_dir / FILE).unlink()
    with logged.sessions.begin() as session:
        rewrite(session, Random(1))
        assert prove_log(session, logged) == []
        assert "has been rewritten" in prove_log(session, logged, elsewhere=[kept])[0]


def test_a_head_that_we_did_not_seal_is_told_and_proves_nothing(logged: House) -> None:
    file = logged.config.data_dir / FILE
    forged = file.read_text().replace(" ", " 0", 1)
    file.write_text(f"{forged}rubbish\n")
    with logged.sessions() as session:
        faults = prove_log(session, logged)
    assert len(faults) == 2
    assert all("not sealed by us" in fault for fault in faults)


def test_a_log_that_has_not_grown_is_noted_once_in_a_file_for_its_owner_alone(logged: House) -> None:
    file = logged.config.data_dir / FILE
    with logged.sessions() as session:
        assert note_head(session, logged)
        assert not note_head(session, logged)
    assert len(file.read_text().splitlines()) == 2
    assert file.stat().st_mode & 0o077 == 0
