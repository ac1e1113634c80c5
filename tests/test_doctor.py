"""The doctor finds each illness by name and says what to do; it falls over none of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from syndicator.clock import utc_now
from syndicator.config import Config, Mail, Push
from syndicator.doctor import Finding, examine
from syndicator.documents import Document, private_folder, public_folder, write_document
from syndicator.domain.feeds import FORMATS, FeedState
from syndicator.domain.jobs import JobRun, LeaderLease
from syndicator.house import House, open_house
from syndicator.operations.letters import write_letter
from syndicator.static_copy import begin_copy
from tests.clocks import HandClock


@pytest.fixture
def well(house: House, clock: HandClock) -> House:
    """A house in which everything is as it should be."""
    now = clock.now = utc_now()
    document = Document("text/xml", b"<x/>", (), now, 60, False, False)
    with house.sessions.begin() as session:
        session.add(LeaderLease(name="timetable", holder="here", until=now + timedelta(minutes=1)))
        for feed in house.catalogue:
            session.add(FeedState(feed=feed.name, selection_hash="", changed_seq=3, rendered_seq=3, changed_at=now))
            for name in FORMATS:
                folder = public_folder if feed.public else private_folder
                write_document(folder(house.config.data_dir), f"{feed.name}.{name}", document)
    return house


def found(house: House, name: str) -> Finding:
    return next(finding for finding in examine(house) if finding.name == name)


def test_a_well_house_is_well(well: House) -> None:
    findings = examine(well)
    assert [finding for finding in findings if not finding.ok] == []
    assert all(finding.words and "\n" not in finding.words for finding in findings)


def test_an_empty_database_says_what_to_run(config: Config, empty_database_url: str) -> None:
    house = open_house(config.model_copy(update={"database": config.database.model_copy(update={"url": empty_database_url})}))
    assert "db upgrade" in found(house, "database").words
    assert not [finding.name for finding in examine(house) if finding.ok and finding.name in {"database", "feeds", "timetable"}]


def test_a_database_that_is_away_is_a_finding(config: Config) -> None:
    url = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    house = open_house(config.model_copy(update={"database": config.database.model_copy(update={"url": url})}))
    assert not found(house, "database").ok


def test_a_wrong_clock_shows(well: House, clock: HandClock) -> None:
    clock.advance(timedelta(minutes=5))
    assert not found(well, "clock").ok


def test_a_key_that_others_can_read_shows(well: House) -> None:
    file = well.config.data_dir / "keys" / "vault.key"
    file.chmod(0o644)
    assert not found(well, "keys").ok
    assert "vault.key" in found(well, "keys").words
    file.chmod(0o600)


def test_a_missing_data_folder_shows(well: House, tmp_path: Path) -> None:
    site = well.config.site.model_copy(update={"data_dir": tmp_path / "gone"})
    house = open_house(well.config.model_copy(update={"site": site, "database": well.config.database}))
    (tmp_path / "gone" / "keys" / "vault.key").unlink()
    (tmp_path / "gone" / "keys").rmdir()
    (tmp_path / "gone").rmdir()
    assert not found(house, "disk").ok
    assert not found(house, "keys").ok


@pytest.mark.parametrize("url", ["smtp://127.0.0.1:1", "smtps://user:hunter2@127.0.0.1:1"])
def test_mail_that_cannot_go_out_shows_and_tells_no_password(config: Config, url: str) -> None:
    house = open_house(config.model_copy(update={"mail": Mail(url=url)}))
    finding = found(house, "mail")
    assert not finding.ok
    assert "127.0.0.1:1 cannot be used: no connection" in finding.words
    assert "hunter2" not in finding.words


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_is_needed_and_away_shows_and_tells_no_password(well: House, config: Config, scheme: str) -> None:
    assert found(well, "broker").ok  # none is needed
    push = Push(executor="celery", broker_url=f"{scheme}://syndicator:hunter2@127.0.0.1:1/0")
    finding = found(open_house(config.model_copy(update={"push": push, "database": well.config.database})), "broker")
    assert not finding.ok
    assert "127.0.0.1:1" in finding.words
    assert "hunter2" not in finding.words


def test_stale_missing_and_damaged_feeds_show(well: House, session: Session) -> None:
    session.get_one(FeedState, "latest").changed_seq = 4
    session.commit()
    (public_folder(well.config.data_dir) / "headlines.rss").unlink()
    (private_folder(well.config.data_dir) / "partners.json").write_bytes(b"rubbish")
    words = found(well, "feeds").words
    for expected in ("latest is stale", "headlines has not been rendered", "partners is damaged"):
        assert expected in words


def test_a_timetable_that_nobody_runs_shows(well: House, clock: HandClock) -> None:
    clock.advance(timedelta(hours=1))
    assert "never run" in found(well, "timetable").words


def test_a_failing_job_shows(well: House, clock: HandClock, session: Session) -> None:
    session.add(JobRun(job="pull-sources", started_at=clock(), finished_at=clock(), outcome="", failures=3))
    session.commit()
    assert "pull-sources (3 times)" in found(well, "timetable").words


def test_a_letter_that_has_waited_long_shows(well: House, clock: HandClock) -> None:
    with well.sessions.begin() as session:
        write_letter(session, well, "note", to="a@b.example", at=clock(), heading="Hello", words="Hello.")
    assert found(well, "letters").ok
    clock.advance(timedelta(minutes=90))
    assert "waiting for 90 minutes" in found(well, "letters").words


def test_a_static_copy_that_nginx_cannot_show_is_a_finding(well: House, tmp_path: Path) -> None:
    static = tmp_path / "static"
    site = well.config.site.model_copy(update={"static_dir": str(static)})
    house = replace(well, config=well.config.model_copy(update={"site": site}))
    assert not found(house, "static copy").ok
    begin_copy(static, house.config.data_dir)
    static.chmod(0o700)
    assert str(static) in found(house, "static copy").words
