"""What it takes to owe an event to 10,000 subscribers in the story's own transaction (goal P8): our one statement against the
unit of work's `add_all` of mapped rows, in the same database."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks import newsroom
from benchmarks.figure import Figure
from syndicator.domain.deliveries import Delivery, DeliveryState
from syndicator.house import House

COUNT = 10_000


def measure(quick: bool) -> list[Figure]:
    rounds = 1 if quick else 3
    with tempfile.TemporaryDirectory() as name:
        house = newsroom.enter(newsroom.build(Path(name)))
        newsroom.publish(house, 0)
        alone = min(_publish(house, number) for number in range(1, 4))
        newsroom.subscribe(house, [f"http://127.0.0.1:9/{number}" for number in range(COUNT)])
        _publish(house, 4)
        ours, peer = [], []
        for number in range(5, 5 + rounds):
            ours.append(_publish(house, number) - alone)
            peer.append(_add_all(house, seq=number - 4))  # of a story from before they subscribed
    own, other = max(statistics.median(ours), 0.001), statistics.median(peer)
    return [
        Figure(
            goal_id="P8",
            what=f"enqueue {COUNT:,}",
            value=other / own,
            unit="× add_all",
            floor=20,
            goal=50,
            beside={
                "ours": f"{own * 1000:.0f} ms ({COUNT / own:,.0f}/s)",
                "add_all": f"{other * 1000:.0f} ms ({COUNT / other:,.0f}/s)",
            },
        )
    ]


def _publish(house: House, number: int) -> float:
    began = time.monotonic()
    newsroom.publish(house, number)
    return time.monotonic() - began


def _add_all(house: House, seq: int) -> float:
    """Seconds to insert the same rows for an event one by one, commit included, as ours are."""
    with house.sessions.begin() as session:
        at = house.clock()
        rows = [
            Delivery(
                subscription_id=number,
                event_seq=seq,
                story_id=1,
                version_number=1,
                state=DeliveryState.OWED,
                lane=1,
                created_at=at,
                next_attempt_at=at,
            )
            for number in range(1, COUNT + 1)
        ]
        began = time.monotonic()
        session.add_all(rows)
        session.flush()
        session.commit()
        return time.monotonic() - began
