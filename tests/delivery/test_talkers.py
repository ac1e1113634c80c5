"""Conversations: one at a time with each party, and nobody waits for somebody else's server."""

from __future__ import annotations

import threading
from collections import Counter

from syndicator.channels import Accepted, Deferred, Outcome
from syndicator.delivery.talkers import WAITING_PER_PARTY, Talk, Talkers


def collect(talkers: Talkers, count: int) -> list[Talk]:
    """Return what came back once there are `count`."""
    found: list[Talk] = []
    for _ in range(1000):
        found += talkers.finished(0.05)
        if len(found) >= count:
            return found
    raise AssertionError(f"{len(found)} came back, {count} were awaited")


def accept() -> Outcome:
    return Accepted()


def test_whoever_hangs_delays_nobody_else_and_is_answered_for_when_its_time_is_over() -> None:
    talkers, release = Talkers(places=4, seconds=0.2), threading.Event()

    def hang() -> Outcome:
        release.wait(20)
        return Accepted()

    for key in range(3):
        talkers.submit(Talk(key, "hanging", hang))
    for key in range(10, 60):
        talkers.submit(Talk(key, f"party-{key % 7}", accept))
    back = {talk.key: talk for talk in collect(talkers, 53)}
    assert all(back[key].outcome == Accepted() for key in range(10, 60))
    assert (back[0].outcome, back[1].busy, back[2].busy) == (Deferred("timeout", 60.0), True, True)
    talkers.submit(Talk(0, "hanging", accept))  # it has not ended yet, so nothing is done twice at once
    assert [talk.busy for talk in collect(talkers, 1)] == [True]
    release.set()
    while "hanging" in talkers._late:
        talkers.finished(0.05)
    talkers.submit(Talk(0, "hanging", accept))
    assert [talk.outcome for talk in collect(talkers, 1)] == [Accepted()]
    assert talkers.in_flight == 0


def test_there_is_one_conversation_at_a_time_with_each_party() -> None:
    talkers, lock, now, most = Talkers(places=8, seconds=20), threading.Lock(), Counter[str](), Counter[str]()

    def hold(party: str) -> Outcome:
        with lock:
            now[party] += 1
            most[party] = max(most[party], now[party])
        threading.Event().wait(0.002)
        with lock:
            now[party] -= 1
        return Accepted()

    for key in range(60):
        party = f"party-{key % 3}"
        talkers.submit(Talk(key, party, lambda party=party: hold(party)))  # type: ignore[misc]
    assert len(collect(talkers, 60)) == 60
    assert most == {"party-0": 1, "party-1": 1, "party-2": 1}


def test_too_many_for_one_party_come_back_untried() -> None:
    talkers = Talkers(places=1, seconds=20)
    for key in range(WAITING_PER_PARTY + 5):
        talkers.submit(Talk(key, "one", accept))
    back = collect(talkers, WAITING_PER_PARTY + 5)
    assert Counter(talk.busy for talk in back) == {False: WAITING_PER_PARTY, True: 5}


def test_a_bug_in_a_conversation_ends_that_one_alone() -> None:
    talkers = Talkers(places=1, seconds=20)

    def fail() -> Outcome:
        raise ZeroDivisionError

    talkers.submit(Talk(1, "one", fail))
    talkers.submit(Talk(2, "one", accept))
    assert [talk.outcome for talk in collect(talkers, 2)] == [Deferred("not-made"), Accepted()]


def test_what_may_not_start_any_more_comes_back_untried() -> None:
    talkers = Talkers(places=1, seconds=20)
    talkers.may_start = lambda key: key != 1
    for key in (1, 2):
        talkers.submit(Talk(key, "one", accept))
    back = {talk.key: (talk.outcome, talk.busy) for talk in collect(talkers, 2)}
    assert back == {1: (None, False), 2: (Accepted(), False)}


def test_what_is_urgent_goes_first_and_what_waits_can_be_taken_back() -> None:
    talkers, release, order = Talkers(places=1, seconds=20), threading.Event(), list[int]()

    def hold(key: int) -> Outcome:
        release.wait(20)
        order.append(key)
        return Accepted()

    for key in range(WAITING_PER_PARTY + 1):
        talkers.submit(Talk(key, "one", lambda key=key: hold(key)))  # type: ignore[misc]
        talkers.finished()
    talkers.submit(Talk(100, "two", lambda: hold(100)))
    for key, party in ((101, "one"), (102, "one"), (103, "two")):
        talkers.submit(Talk(key, party, lambda key=key: hold(key), urgent=True))  # type: ignore[misc]
    assert talkers.waiting() == {*range(1, WAITING_PER_PARTY + 1), 100, 101, 102, 103}
    talkers.take_back({0, *range(3, WAITING_PER_PARTY + 1)})
    back = [talk for talk in collect(talkers, WAITING_PER_PARTY - 2) if talk.outcome is None]
    assert {talk.key for talk in back} == set(range(3, WAITING_PER_PARTY + 1))
    release.set()
    collect(talkers, 7)
    assert talkers.in_flight == 0
    assert order[0] == 0
    assert order.index(103) < order.index(100)
    assert [key for key in order if key in {1, 2, 101, 102}] == [101, 102, 1, 2]
