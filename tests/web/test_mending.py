"""What is wrong with one story, one file or one feed costs nobody else anything, and is mended by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from lxml import etree

from syndicator.app import create_app
from syndicator.delivery.engine import Engine
from syndicator.documents import note_change, private_folder, public_folder
from syndicator.house import House
from syndicator.operations.keys import create_token
from syndicator.operations.render_feeds import NotRendered, render_all, render_feeds, render_stale, render_whole
from syndicator.render.elements import ATOM
from syndicator.render.entry import Feed
from syndicator.sending import create_engine
from syndicator.web.byte_layer import ByteLayer
from tests.conftest import BASE_URL
from tests.desk import Desk
from tests.polled import polled
from tests.receiver import Receiver
from tests.render.strategies import HOSTILE, entry, feed

ATOM_ENTRY = f"{{{ATOM}}}entry"
FORMS = ("rss", "atom", "json")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def engine(desk: Desk) -> Iterator[Engine]:
    made = create_engine(desk.house)
    yield made
    made.close()


@pytest.fixture
def visitor(house: House) -> FlaskClient:
    app: Flask = create_app(house.config, house)
    app.wsgi_app = polled(ByteLayer(public_folder(house.config.data_dir)), app.wsgi_app)  # type: ignore[assignment, method-assign]
    return app.test_client()


def test_hundreds_of_hostile_stories_leave_every_feed_valid(desk: Desk, visitor: FlaskClient) -> None:
    """R16: whatever a story is made of, feeds, archives and pages go on, and its neighbours are in them."""
    pairs = [(one, other) for one, other in product(HOSTILE, repeat=2) if one < other][:300]
    stories = []
    for number, (one, other) in enumerate(pairs):
        hostile = f"{one}{other} {number}"
        body = f"<p>Story {number}</p><p>{hostile}</p>{one}<div>{other}"
        facts: dict[str, Any] = {"headline": hostile, "body_html": body, "summary": hostile, "section": hostile}
        facts |= {"byline": (hostile,), "tags": (one, other), "canonical_url": f"https://x.example/{one}"}
        stories.append(desk.publish(external_id=f"h{number}", **facts))
    plain = desk.publish(external_id="plain", headline="Quite plain").story
    while render_stale(desk.house):
        pass
    for form in FORMS:
        path, met = f"/feeds/latest.{form}", set[str]()
        while path:
            answer = visitor.get(path)
            assert answer.status_code == 200
            ids, path = read(answer.data, form)
            met |= ids
        assert met == {plain.uri, *(published.story.uri for published in stories)}
    for path in ("/", "/latest", *(f"/stories/{published.story.public_id}" for published in stories[::10])):
        assert visitor.get(path, follow_redirects=True).status_code == 200, path


def test_what_another_process_has_rendered_meanwhile_is_not_rendered_again(desk: Desk) -> None:
    desk.publish()
    render_stale(desk.house)  # by the other, while we waited for its lock
    document = public_folder(desk.house.config.data_dir) / "latest.rss"
    document.unlink()
    assert render_feeds(desk.house, ["latest"]) == ["latest"]
    assert not document.exists()
    render_feeds(desk.house, ["latest"], everything=True)
    assert document.exists()


def read(document: bytes, form: str) -> tuple[set[str], str]:
    """Return the ids of a document's entries, and the path of the next older one."""
    if form == "json":
        told = json.loads(document)
        return {item["id"] for item in told["items"]}, told.get("next_url", "").removeprefix(BASE_URL)
    root = etree.fromstring(document)
    found = [*root.iter("guid"), *root.iterfind(f"{ATOM_ENTRY}/{{{ATOM}}}id")]
    older = next((link.get("href", "") for link in root.iter(f"{{{ATOM}}}link") if link.get("rel") == "prev-archive"), "")
    return {each.text or "" for each in found}, older.removeprefix(BASE_URL)


def test_a_story_that_a_format_cannot_hold_is_left_out_alone(caplog: pytest.LogCaptureFixture) -> None:
    stories = tuple(entry(public_id=name, uri=f"tag:{name}") for name in ("good", "bad", "fine"))

    def render(told: Feed) -> bytes:
        if any(each.public_id == "bad" for each in told.all_entries):
            raise ValueError("cannot be written")
        return " ".join(each.public_id for each in told.entries).encode()

    assert render_whole(render, feed(stories)) == b"good fine"
    assert "story=bad" in caplog.text


def test_a_feed_that_cannot_be_written_keeps_no_kill_from_the_others(desk: Desk, engine: Engine) -> None:
    story = desk.publish(headline="Wrong").story
    engine.drain_due()
    folder = public_folder(desk.house.config.data_dir)
    broken = sorted(folder.glob("*.rss"))[0]
    assert broken.stem != "latest"
    broken.unlink()
    (broken / "in-the-way").mkdir(parents=True)
    with Receiver() as receiver:
        desk.subscription(desk.publisher(), endpoint=receiver.url)
        desk.kill(story)
        desk.publish(external_id="next")
        engine.drain_due()
        assert len(receiver.received) == 2  # no push waits for what cannot be made
    assert "KILLED" in (folder / "latest.rss").read_bytes().decode(errors="ignore")
    with pytest.raises(NotRendered, match=broken.stem):
        render_stale(desk.house)
    render_all(desk.house)  # nor does the service refuse to start
    (broken / "in-the-way").rmdir()
    broken.rmdir()
    assert render_stale(desk.house) == [broken.stem]
    assert broken.is_file()


@pytest.mark.parametrize("damage", ["flip", "remove"])
@pytest.mark.parametrize("key", ["latest.rss", "latest/archive/1.json"])
def test_a_damaged_or_lost_document_is_503_until_it_is_made_anew(desk: Desk, visitor: FlaskClient, key: str, damage: str) -> None:
    for number in range(70):
        desk.publish(external_id=f"s{number}")
    while render_stale(desk.house):
        pass
    before = visitor.get(f"/feeds/{key}")
    assert before.status_code == 200
    hurt(public_folder(desk.house.config.data_dir) / key, damage)
    note_change(public_folder(desk.house.config.data_dir))
    answer = visitor.get(f"/feeds/{key}")
    assert (answer.status_code, answer.headers["Retry-After"], answer.headers["Cache-Control"]) == (503, "5", "no-store")
    while render_stale(desk.house):
        pass
    after = visitor.get(f"/feeds/{key}")
    assert (after.status_code, after.data, after.headers["ETag"]) == (200, before.data, before.headers["ETag"])
    assert visitor.get("/feeds/latest/archive/99.rss").status_code == 404


def test_a_private_document_is_mended_too(desk: Desk, visitor: FlaskClient) -> None:
    desk.publish()
    render_stale(desk.house)
    publisher = desk.publisher()
    with desk.house.sessions.begin() as session:
        given = session.merge(publisher)
        _, token = create_token(session, desk.house.catalogue, given, "partners", actor="test", at=desk.house.clock())
    hurt(private_folder(desk.house.config.data_dir) / "partners.rss", "flip")
    assert visitor.get(f"/f/{token}/partners.rss").status_code == 503
    render_stale(desk.house)
    assert visitor.get(f"/f/{token}/partners.rss").status_code == 200


def hurt(file: Path, damage: str) -> None:
    packed = bytearray(file.read_bytes())
    file.unlink()
    if damage == "flip":
        packed[-1] ^= 1
        file.write_bytes(packed)
