"""Files by SFTP, on a real OpenSSH server: whole or not at all, under a pinned key, a kill as a file of its own."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from syndicator.channels.sftp import put
from syndicator.delivery.trial_talks import TrialTalks
from syndicator.domain.subscriptions import ChannelKind, SubscriptionState, Trial
from syndicator.errors import AddressRefused, InvalidRequest
from syndicator.house import House
from syndicator.outbound import open_outbound
from tests.channels.password_server import PASSWORD, USER, password_server
from tests.channels.sshd import Sshd
from tests.channels.talk import Partner, partner_of
from tests.exits import as_read


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = Sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    server.stop()


@pytest.fixture
def partner(small_house: House, sshd: Sshd, tmp_path: Path) -> Iterator[Partner]:
    with to_sftp(small_house, sshd, tmp_path / "drop") as made:
        yield made


def to_sftp(house: House, sshd: Sshd, folder: Path, **options: str):  # type: ignore[no-untyped-def]
    folder.mkdir(exist_ok=True)
    chosen = {"user": sshd.user, "host_key": sshd.fingerprint, "folder": str(folder), **options}
    return partner_of(house, ChannelKind.SFTP, sshd.url, sshd.private_key, **chosen)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_story_a_correction_and_a_kill_are_a_file_each(partner: Partner, tmp_path: Path) -> None:
    story = partner.desk.publish().story
    assert partner.drain() == ("delivered", "")
    partner.desk.publish(correction_note="It was 220.", headline="220 gauges")
    partner.drain()
    partner.desk.kill(story)
    assert partner.drain() == ("delivered", "")
    key = story.public_id
    assert names(tmp_path / "drop") == [
        f"20260701T120000Z_{key}_v1_usable.json",
        f"20260701T120000Z_{key}_v2_usable.json",
        f"20260701T120000Z_{key}_v3_canceled.json",
    ]
    told = [json.loads(file.read_text()) for file in sorted((tmp_path / "drop").iterdir())]
    assert [each["pubStatus"] for each in told] == ["usable", "usable", "canceled"]
    notice = partner.house.config.notice.text
    assert [as_read(json.dumps(each)).count(notice) for each in told] == [1, 1, 0]  # ninjs has no body left to stand under


@pytest.mark.parametrize(("form", "ending"), [("html", "html"), ("text", "txt"), ("newsml", "xml"), ("jsonld", "jsonld")])
def test_the_partner_chooses_format_and_name(small_house: House, sshd: Sshd, tmp_path: Path, form: str, ending: str) -> None:
    with to_sftp(small_house, sshd, tmp_path / "drop", format=form, name="{slug}-{id}-{version}.{ext}") as partner:
        story = partner.desk.publish().story
        assert partner.drain() == ("delivered", "")
    assert names(tmp_path / "drop") == [f"river-gauges-go-live-{story.public_id}-1.{ending}"]
    assert "Two hundred gauges report" in (tmp_path / "drop" / names(tmp_path / "drop")[0]).read_text()


def test_a_lost_answer_leaves_one_whole_file(small_house: House, sshd: Sshd, tmp_path: Path) -> None:
    """R20: the connection is cut at every stage, after the rename too; in the end there is one file, and never half of one."""
    with to_sftp(small_house, sshd, tmp_path / "drop") as partner, sshd.cutting() as proxy:
        with small_house.sessions.begin() as session:
            session.merge(partner.now()).endpoint = proxy.url
        for number, limit in enumerate((0, 500, 2000, 3000, 4000, 5000, 6000, 7000)):
            story = partner.desk.publish(external_id=f"cut-{number}", headline=f"Cut {number}").story
            proxy.cut_after = limit
            partner.drain()
            seen = [name for name in names(tmp_path / "drop") if story.public_id in name and not name.startswith(".")]
            assert all(json.loads((tmp_path / "drop" / name).read_text())["headlines"] for name in seen)
            proxy.cut_after = None
            if partner.owed[-1].state.value == "owed":
                assert partner.again() == ("delivered", "")
            assert len([name for name in names(tmp_path / "drop") if story.public_id in name]) == 1


def test_a_server_with_another_key_stops_the_subscription_and_raises_the_alarm(
    small_house: House, sshd: Sshd, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = "SHA256:" + "A" * 43
    with to_sftp(small_house, sshd, tmp_path / "drop", host_key=other) as partner:
        partner.desk.publish()
        state, reason = partner.drain()
        assert (state, reason) == ("owed", f"the server shows another host key than was pinned: {sshd.fingerprint}")
        stopped = partner.now()
        assert (stopped.state, stopped.state_reason) == (SubscriptionState.PAUSED, reason)
        assert partner.owed[-1].next_attempt_at is None
    assert any(record.levelno == logging.ERROR and "host key changed" in record.getMessage() for record in caplog.records)
    assert names(tmp_path / "drop") == []


def test_a_line_of_known_hosts_pins_as_well(small_house: House, sshd: Sshd, tmp_path: Path) -> None:
    for number, line in enumerate((sshd.known_hosts, sshd.rsa_known_hosts)):
        with to_sftp(small_house, sshd, tmp_path / "drop", host_key=line) as partner:
            partner.desk.publish(external_id=f"story-{number}")
            assert partner.drain() == ("delivered", "")


def test_a_wrong_key_and_a_missing_folder_are_told_plainly_and_nothing_secret_is_logged(
    small_house: House, sshd: Sshd, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    stranger = io.StringIO()
    paramiko.RSAKey.generate(2048).write_private_key(stranger)
    for credential, folder, words in (
        (stranger.getvalue(), str(tmp_path), "the server refuses the user name, password or key"),
        ("hunter2-hunter2", str(tmp_path), "the server refuses the user name, password or key"),
        (sshd.private_key, f"{tmp_path}/absent", f"there is no folder {tmp_path}/absent on the server"),
    ):
        options = {"user": sshd.user, "host_key": sshd.fingerprint, "folder": folder}
        with partner_of(small_house, ChannelKind.SFTP, sshd.url, credential, **options) as partner:
            partner.desk.publish(external_id=f"{folder}{len(credential)}")
            assert partner.drain() == ("owed", words)
    assert "hunter2" not in caplog.text
    assert "PRIVATE KEY" not in caplog.text


def test_a_password_opens_a_server_of_another_make(small_house: House, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    folder = tmp_path / "drop"
    folder.mkdir()
    with password_server(folder) as server:
        options = {"user": USER, "host_key": server.fingerprint, "folder": "/"}
        with partner_of(small_house, ChannelKind.SFTP, server.url, PASSWORD, **options) as partner:
            story = partner.desk.publish().story
            assert partner.drain() == ("delivered", "")
    assert names(folder) == [f"20260701T120000Z_{story.public_id}_v1_usable.json"]
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize(
    ("endpoint", "changes"),
    [
        ("sftp://files.example:25/", {}),
        ("sftp://user:pw@files.example/", {}),
        ("sftp://files.example/folder", {}),
        ("ftp://files.example/", {}),
        ("sftp://127.0.0.1/", {"folder": "../other"}),
        ("sftp://127.0.0.1/", {"name": "../{id}{version}"}),
        ("sftp://127.0.0.1/", {"name": "/etc/{id}{version}"}),
        ("sftp://127.0.0.1/", {"name": "{id}/../{version}"}),
        ("sftp://127.0.0.1/", {"name": ".{id}{version}"}),
        ("sftp://127.0.0.1/", {"name": "{id}.json"}),
        ("sftp://127.0.0.1/", {"name": "{id.__class__}{version}"}),
        ("sftp://127.0.0.1/", {"host_key": "whatever"}),
        ("sftp://127.0.0.1/", {"colour": "red"}),
    ],
)
def test_what_leads_astray_is_refused_when_it_is_chosen(small_house: House, endpoint: str, changes: dict[str, str]) -> None:
    options = {"user": "courier", "host_key": "SHA256:" + "A" * 43, **changes}
    with pytest.raises((InvalidRequest, AddressRefused)), partner_of(small_house, ChannelKind.SFTP, endpoint, "pw", **options):
        pass


def test_a_server_without_an_atomic_rename_still_gets_one_whole_file(sshd: Sshd, tmp_path: Path) -> None:
    with sshd.session() as sftp:
        sftp.posix_rename = _refuse  # type: ignore[method-assign, assignment]
        for content in (b"first", b"first", b"longer than first"):
            put(sftp, str(tmp_path), "story.json", content)
            assert (names(tmp_path), (tmp_path / "story.json").read_bytes()) == (["story.json"], content)


@pytest.mark.parametrize("form", ["ninjs", "html", "text", "newsml", "jsonld"])
def test_a_test_send_leaves_an_example_that_nobody_takes_for_news(
    small_house: House, sshd: Sshd, tmp_path: Path, form: str
) -> None:
    folder = tmp_path / "drop"
    with to_sftp(small_house, sshd, folder, format=form, name="{slug}-{id}-{version}.{ext}") as partner:
        trial = partner.tried()
        assert (trial.outcome, trial.reason, partner.owed) == ("accepted", "", [])
        [name] = names(folder)
        assert name.startswith(f"example-not-for-publication-how-stories-of-latest-come-EXAMPLE_{trial.public_id}-1.")
        content = (folder / name).read_text()
        size = (folder / name).stat().st_size
        assert trial.done == f"the file {name} ({size:,} bytes) was written whole into {folder}"
        assert as_read(content).count(small_house.config.notice.text) == 1
        assert "EXAMPLE, NOT FOR PUBLICATION" in content
        assert "canceled" in content
        again = partner.tried()
        assert len(names(folder)) == 2  # a technician sees each arrive
        assert again.public_id in "".join(names(folder))


def test_a_test_send_that_comes_back_after_a_crash_leaves_one_file(small_house: House, sshd: Sshd, tmp_path: Path) -> None:
    with to_sftp(small_house, sshd, tmp_path / "drop") as partner:
        trial = partner.tried()
        with small_house.sessions.begin() as session:
            kept = session.get_one(Trial, trial.id)
            kept.due_at, kept.finished_at, kept.outcome = small_house.clock(), None, ""
        assert TrialTalks(small_house, open_outbound(small_house.config)).hold_due() == 1
    assert names(tmp_path / "drop") == [f"20260701T120000Z_EXAMPLE_{trial.public_id}_v1_canceled.json"]


def test_a_test_send_says_what_stands_in_the_way(small_house: House, sshd: Sshd, tmp_path: Path) -> None:
    with to_sftp(small_house, sshd, tmp_path / "drop") as partner:
        (tmp_path / "drop").rmdir()
        trial = partner.tried()
    assert (trial.outcome, trial.done) == ("deferred", "")
    assert trial.reason == f"there is no folder {tmp_path / 'drop'} on the server"


def test_a_full_disk_is_no_delivery(small_house: House, tmp_path: Path) -> None:
    """The server takes the beginning of the file and says of the rest that there is no room: nothing may be renamed then."""
    folder = tmp_path / "drop"
    folder.mkdir()
    with password_server(folder, room=40_000) as server:
        options = {"user": USER, "host_key": server.fingerprint, "folder": "/"}
        with partner_of(small_house, ChannelKind.SFTP, server.url, PASSWORD, **options) as partner:
            partner.desk.publish(body_html=f"<p>{'Word. ' * 20_000}</p>")
            told = "the server did not take the whole file; its disk or the user's quota may be full"
            assert partner.drain() == ("owed", told)
            assert [name for name in names(folder) if not name.endswith(".part")] == []


def _refuse(old: str, new: str) -> None:
    raise OSError("Operation unsupported")
