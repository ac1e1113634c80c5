"""A newsroom for benchmarks: a house of its own in a folder, with stories of the usual length. Measures nothing."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

from sqlalchemy import insert

from syndicator.channels.webhook import new_webhook_secret
from syndicator.config import load_config
from syndicator.delivery.engine import Engine
from syndicator.domain.base import new_id
from syndicator.domain.publishers import PublisherState
from syndicator.domain.stories import SourceKind, StoryDraft
from syndicator.domain.subscriptions import ChannelKind, Subscription, SubscriptionState
from syndicator.house import House, open_house
from syndicator.operations.publish import publish_story
from syndicator.operations.publishers import add_publisher, decide
from syndicator.operations.render_feeds import sync_catalogue
from syndicator.sending import create_engine
from syndicator.storage.queries import source_called
from syndicator.storage.schema import upgrade

FEEDS = Path(__file__).resolve().parent.parent / "feeds"
WORDS = ["".join(random.Random(seed).choices("etaoinshrdlucmfwyp", k=3 + seed % 9)) for seed in range(330)]


def build(folder: Path, feeds: Path = FEEDS) -> Path:
    """Make a house in `folder` with the catalogue in `feeds`; returns its settings file."""
    file = folder / "config.toml"
    site = {"base_url": "http://127.0.0.1", "data_dir": str(folder / "var"), "feeds_dir": str(feeds)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in site.items()]
    outbound = '[outbound]\nallow_networks = ["127.0.0.0/8"]'
    file.write_text("\n".join(["[site]", *lines, outbound, "[limits]\nenabled = false", '[log]\nlevel = "error"\n']))
    house = open_house(load_config(file))
    upgrade(house.engine)
    with house.sessions.begin() as session:
        sync_catalogue(session, house.catalogue, at=house.clock())
    house.engine.dispose()
    return file


def enter(file: Path) -> House:
    return open_house(load_config(file))


def engine_of(file: Path) -> Engine:
    return create_engine(enter(file))


def subscribe(house: House, urls: list[str]) -> None:
    """Approve a publisher and subscribe it at `urls`, without the checks of the operation."""
    at = house.clock()
    with house.sessions.begin() as session:
        made = add_publisher(session, name="Courier", email="wire@courier.example", domains=[], actor="bench", at=at)
        decide(session, house, made.public_id, PublisherState.APPROVED, reason="bench", actor="bench", at=at, terms_signed=True)
        rows = [
            {
                "public_id": new_id("sub_"),
                "publisher_id": made.id,
                "feed": "latest",
                "channel": ChannelKind.WEBHOOK,
                "endpoint": url,
                "options": {},
                "state": SubscriptionState.ACTIVE,
                "secret": house.vault.lock(new_webhook_secret()),
                "created_at": at,
            }
            for url in urls
        ]
        session.execute(insert(Subscription), rows)


def draft(number: int) -> StoryDraft:
    """One full story of some 5 KB."""
    dice = random.Random(number)
    return StoryDraft(
        external_id=f"benchmark:{number}",
        headline=f"Story {number} of the day",
        summary=" ".join(dice.choices(WORDS, k=20)),
        body_html="".join(f"<p>{' '.join(dice.choices(WORDS, k=66))}</p>" for _ in range(10)),
        byline=("Jane Roe",),
        section=("Politics", "Military and Defense", "Education")[number % 3],
        canonical_url=f"https://newsroom.example/{number}",
    )


def publish(house: House, number: int) -> None:
    """Publish story `number` in a transaction of its own, as every way in does."""
    with house.sessions.begin() as session:
        source = source_called(session, "benchmark", SourceKind.API)
        publish_story(session, house, source, draft(number), at=house.clock())


def correct(house: House, number: int, note: str) -> None:
    """Correct story `number`, which is out: it is shown and pushed at once, however many were before it."""
    changed = replace(draft(number), headline=f"Story {number}, {note}")
    with house.sessions.begin() as session:
        source = source_called(session, "benchmark", SourceKind.API)
        publish_story(session, house, source, changed, at=house.clock(), correction_note=note)
