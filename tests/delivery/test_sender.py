"""The fan-out against real servers on loopback: quick, slow, silent, dripping and hostile ones."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest

from syndicator import config
from syndicator.border import Border, Resolve
from syndicator.channels import Answer, Request
from syndicator.delivery import sender as sender_module
from syndicator.delivery.sender import Sender
from tests.receiver import Received, Receiver, Reply, tls_for

LIMIT_SECONDS = 30


def border(resolve: Resolve | None = None, **rules: object) -> Border:
    allowed = {"allow_networks": ("127.0.0.0/8",), "total_timeout_seconds": 20.0, "connect_timeout_seconds": 10.0}
    return Border(config.Outbound.model_validate(allowed | rules), "Syndicator/test", resolve=resolve)


@pytest.fixture
def sender() -> Iterator[Sender]:
    opened = Sender(border(), concurrency=16, per_host=4)
    yield opened
    opened.close()


def post(url: str, body: bytes = b"{}") -> Request:
    return Request(url=url, headers=(("Content-Type", "application/json"),), pieces=(body,))


def drive(sender: Sender, count: int) -> list[tuple[int, Answer]]:
    """Pump until `count` answers are there, in the order of their coming."""
    answers: list[tuple[int, Answer]] = []
    limit = monotonic() + LIMIT_SECONDS
    while len(answers) < count and monotonic() < limit:
        answers += sender.pump(0.5)
    assert len(answers) == count
    return answers


def drive_until(sender: Sender, happened: Callable[[], bool]) -> list[tuple[int, Answer]]:
    """Pump until something is so at the receiver; what was answered meanwhile."""
    answers: list[tuple[int, Answer]] = []
    limit = monotonic() + LIMIT_SECONDS
    while not happened():
        assert monotonic() < limit
        answers += sender.pump(0.01)
    return answers


def one(sender: Sender, request: Request) -> Answer:
    sender.submit(1, request)
    [(key, answer)] = drive(sender, 1)
    assert key == 1
    return answer


def test_a_request_arrives_as_it_was_built(sender: Sender) -> None:
    body = bytes(range(256)) * 40
    with Receiver(lambda request: Reply(status=202, headers=(("Retry-After", "7"),), body=b"thanks")) as receiver:
        answer = one(sender, post(receiver.url + "/a/../b?x=%2f&y=%7E&z", body))
    [request] = receiver.received
    assert (request.method, request.target, request.body) == ("POST", "/a/../b?x=%2f&y=%7E&z", body)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "Syndicator/test"
    assert "expect" not in request.headers
    assert (answer.status, answer.body, answer.headers["retry-after"], answer.error) == (202, b"thanks", "7", "")


def test_a_verification_is_a_plain_get_even_on_a_handle_that_posted(sender: Sender) -> None:
    with Receiver(lambda request: Reply(body=request.target.encode())) as receiver:
        assert one(sender, post(receiver.url, b"posted")).status == 200
        answer = one(sender, Request(url=f"{receiver.url}/cb?a=1&hub.mode=subscribe", headers=(), method="GET"))
        assert one(sender, post(receiver.url, b"again")).status == 200
    assert answer.body == b"/cb?a=1&hub.mode=subscribe"
    assert [(request.method, request.body) for request in receiver.received] == [
        ("POST", b"posted"),
        ("GET", b""),
        ("POST", b"again"),
    ]


def test_connections_are_kept_between_requests_to_one_host(sender: Sender) -> None:
    with Receiver() as receiver:
        for _ in range(5):
            one(sender, post(receiver.url))
        assert receiver.connections == 1


def test_a_redirect_is_an_answer_and_is_not_followed(sender: Sender) -> None:
    with Receiver() as elsewhere, Receiver(lambda r: Reply(status=307, headers=(("Location", elsewhere.url),))) as receiver:
        assert one(sender, post(receiver.url)).status == 307
    assert not elsewhere.received


DRIPPED_HEADERS = Reply(drip=True, headers=tuple((f"X-{number}", "y" * 50) for number in range(50)))


@pytest.mark.parametrize("reply", [Reply(hang=True), DRIPPED_HEADERS], ids=["hangs", "drips"])
def test_an_answer_that_hangs_or_drips_ends_at_the_deadline(reply: Reply) -> None:
    hasty = Sender(border(total_timeout_seconds=0.6), concurrency=4, per_host=4)
    with Receiver(lambda request: reply) as receiver:
        answer = one(hasty, post(receiver.url))
    hasty.close()
    assert (answer.status, answer.error) == (0, "timeout")


@pytest.mark.parametrize("raw", [b"SSH-2.0-OpenSSH_9.2\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Le"])
def test_what_is_no_answer_is_told_as_such(sender: Sender, raw: bytes) -> None:
    with Receiver(lambda request: Reply(raw=raw)) as receiver:
        answer = one(sender, post(receiver.url))
    assert (answer.status, answer.error) == (0, "broken-answer")


def test_a_closed_port_is_told_as_such(sender: Sender) -> None:
    with Receiver() as receiver:
        pass
    assert one(sender, post(receiver.url)).error == "connect"


def test_a_certificate_counts_only_from_an_authority_and_for_its_name(tmp_path: Path) -> None:
    context, ca_file = tls_for("127.0.0.1", tmp_path)
    with Receiver(tls=context, hosts=2) as receiver:
        trusting = Sender(Border(border().rules, "Syndicator/test", ca_file=ca_file), concurrency=4, per_host=4)
        assert one(trusting, post(receiver.urls[0])).status == 200
        assert one(trusting, post(receiver.urls[1])).error == "tls"
        trusting.close()
        doubting = Sender(border(), concurrency=4, per_host=4)
        assert one(doubting, post(receiver.urls[0])).error == "tls"
        doubting.close()


def test_an_answer_counts_by_its_status_however_its_body_goes_on() -> None:
    endless = Reply(status=200, headers=(("Content-Length", "99999999"),), drip=True)
    with Receiver(lambda request: endless) as receiver:
        strict = Sender(border(max_answer_bytes=40), concurrency=4, per_host=4)
        answer = one(strict, post(receiver.url))
        strict.close()
    assert (answer.status, answer.error) == (200, "")
    assert len(answer.body) <= 41


def test_only_the_beginning_of_a_long_answer_is_kept(sender: Sender) -> None:
    with Receiver(lambda request: Reply(body=b"x" * 500_000)) as receiver:
        assert len(one(sender, post(receiver.url)).body) == 20_000


def test_an_answer_with_an_interim_one_before_it_is_read_whole(sender: Sender) -> None:
    raw = b"HTTP/1.1 103 Early\r\nRetry-After: 1\r\n\r\nHTTP/1.1 204 Done\r\nX-Kind: real\r\n\r\n"
    with Receiver(lambda request: Reply(raw=raw)) as receiver:
        answer = one(sender, post(receiver.url))
    assert (answer.status, answer.headers) == (204, {"x-kind": "real"})


def test_an_address_that_is_not_public_is_refused_before_anything_is_sent() -> None:
    guarded = Sender(border(allow_networks=()), concurrency=4, per_host=4)
    with Receiver() as receiver:
        assert one(guarded, post(receiver.url)).error == "address-refused"
    guarded.close()
    assert receiver.connections == 0


def test_a_name_that_leads_inside_is_refused_at_the_moment_of_connecting() -> None:
    """`localhost` passes as written once any network is allowed; where it leads is judged by the socket."""
    guarded = Sender(border(allow_networks=("10.9.8.0/24",)), concurrency=4, per_host=4)
    with Receiver() as receiver:
        answer = one(guarded, post(receiver.url.replace("127.0.0.1", "localhost")))
    guarded.close()
    assert (answer.status, answer.error, receiver.connections) == (0, "address-refused", 0)


def test_a_name_may_lead_to_public_addresses_only() -> None:
    for addresses in (["10.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"]):
        guarded = Sender(border(lambda host, port, found=addresses: found, allow_networks=()), concurrency=4, per_host=4)  # type: ignore[misc]
        with Receiver() as receiver:
            answer = one(guarded, post(receiver.url.replace("127.0.0.1", "partner.example")))
        guarded.close()
        assert (answer.status, answer.error, receiver.connections) == (0, "address-refused", 0)


def test_a_name_is_connected_to_at_the_address_that_was_judged_and_asked_for_once_a_minute() -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    named = Sender(border(resolve), concurrency=4, per_host=4)
    with Receiver(lambda request: Reply(close=True, headers=(("Connection", "close"),))) as receiver:
        url = receiver.url.replace("127.0.0.1", "partner1")
        assert [one(named, post(url)).status for _ in range(3)] == [200, 200, 200]
        assert one(named, post(receiver.url)).status == 200
    named.close()
    assert asked == ["partner1"]
    assert receiver.received[0].headers["host"] == url.removeprefix("http://")


def test_an_unknown_name_is_told_as_such() -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "unknown")

    named = Sender(border(resolve), concurrency=4, per_host=4)
    assert one(named, post("http://nobody.example/")).error == "dns"
    named.close()


@pytest.fixture
def hanging_look_up() -> Iterator[Resolve]:
    """A resolver that keeps silent about names that begin with `dead`, until the test ends."""
    over = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        if host.startswith("dead"):
            over.wait(LIMIT_SECONDS)
        return ["127.0.0.1"]

    yield resolve
    over.set()


def test_names_whose_look_up_hangs_delay_nobody(hanging_look_up: Resolve) -> None:
    named = Sender(border(hanging_look_up, connect_timeout_seconds=LIMIT_SECONDS), concurrency=64, per_host=4)
    with Receiver() as receiver:
        for key in range(50):
            named.submit(key, post(f"http://dead{key}.example:{receiver.ports[0]}/"))
        for key in range(50, 100):
            named.submit(key, post(f"http://good{key}.example:{receiver.ports[0]}/"))
        answers = drive(named, 50)
    named.close()
    assert {key: answer.status for key, answer in answers} == dict.fromkeys(range(50, 100), 200)
    assert len(receiver.received) == 50


def test_a_look_up_that_hangs_ends_with_the_time_to_connect(hanging_look_up: Resolve) -> None:
    named = Sender(border(hanging_look_up, connect_timeout_seconds=0.2), concurrency=4, per_host=4)
    assert one(named, post("http://dead.example/")).error == "timeout"
    named.close()


def test_a_header_cannot_be_broken_in_two(sender: Sender) -> None:
    with pytest.raises(ValueError, match="control character"):
        sender.submit(1, Request(url="http://127.0.0.1:9999/", headers=(("Link", "a\r\nX-Evil: 1"),)))


def test_one_host_gets_only_so_many_connections_at_once(sender: Sender) -> None:
    with Receiver(lambda request: Reply(hang=True)) as receiver:
        for key in range(8):
            sender.submit(key, post(receiver.url))
        drive_until(sender, lambda: len(receiver.received) == 4)
        receiver.release()
        assert {answer.status for _, answer in drive(sender, 8)} == {200}
        assert receiver.most_open == [4]


def test_hanging_receivers_take_no_place_from_the_others() -> None:
    """Three hosts hang with more requests than there are connections; all others are answered before the first of them ends."""

    def answer(request: Received) -> Reply:
        return Reply(hang=request.host_number < 3)

    sender = Sender(border(), concurrency=32, per_host=4)
    with Receiver(answer, hosts=20) as receiver:
        answers: list[tuple[int, Answer]] = []
        for key in range(200):
            if not sender.room():
                answers += sender.pump(0.5)
            sender.submit(key, post(receiver.urls[key % 20]))
        answers += drive(sender, 200 - 30 - len(answers))
        assert all(key % 20 >= 3 for key, _ in answers)
        assert {answer.status for _, answer in answers} == {200}
        assert max(receiver.most_open) <= 4
        receiver.release()
        assert {key % 20 for key, _ in drive(sender, 30)} == {0, 1, 2}
        assert sender.in_flight == 0
    sender.close()


def test_more_hanging_hosts_than_places_hold_the_others_up_only_until_they_count_as_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "SLOW_SECONDS", 0.5)
    sender = Sender(border(), concurrency=4, per_host=4)
    with Receiver(lambda request: Reply(hang=request.host_number < 4), hosts=6) as receiver:
        for key, url in enumerate(receiver.urls):
            sender.submit(key, post(url))
        assert {key for key, _ in drive(sender, 2)} == {4, 5}

        for key, url in enumerate(receiver.urls, 10):  # now known: they start only when a slow place is free
            sender.submit(key, post(url))
        assert {key for key, _ in drive(sender, 2)} == {14, 15}
        receiver.release()
        assert {key for key, _ in drive(sender, 8)} == {0, 1, 2, 3, 10, 11, 12, 13}
    sender.close()


def test_a_host_that_was_slow_does_not_wait_behind_those_that_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever took three seconds once, perhaps since we did, waited a quarter of an hour behind 300 that hung."""
    monkeypatch.setattr(sender_module, "SLOW_SECONDS", 0.2)
    sender = Sender(border(), concurrency=8, per_host=1)
    with Receiver(lambda request: Reply(hang=True) if request.host_number < 8 else Reply(drip=True), hosts=9) as receiver:
        for first in (0, 10):
            for key, url in enumerate(receiver.urls, first):
                sender.submit(key, post(url))
            assert [(key, answer.status) for key, answer in drive(sender, 1)] == [(first + 8, 200)]
        receiver.release()
        drive(sender, 16)
    sender.close()


def test_the_time_that_we_are_busy_ourselves_makes_no_host_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine with too little for us each turn took more than two seconds: all were slow, and the slow get few places."""
    away = 0.0
    monkeypatch.setattr(sender_module, "monotonic", lambda: monotonic() + away)
    monkeypatch.setattr(sender_module, "SLOW_SECONDS", 25)
    sender = Sender(border(), concurrency=8, per_host=8)
    with Receiver(lambda request: Reply(hang=True)) as before, Receiver(lambda request: Reply(hang=True)) as after:
        sender.submit(1, post(before.url))
        drive_until(sender, lambda: len(before.received) == 1)
        away = 60.0
        before.release()
        drive(sender, 1)
        for key in range(4):
            sender.submit(key, post(after.url))
        answers = drive_until(sender, lambda: len(after.received) == 4)
        assert not answers  # all four are there at once, not the two of the slow lane
    sender.close()


def test_a_slow_host_that_answers_quickly_again_is_forgiven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "SLOW_SECONDS", 0.5)
    sender = Sender(border(total_timeout_seconds=1.0), concurrency=8, per_host=8)
    hang = True
    with Receiver(lambda request: Reply(hang=hang)) as receiver:
        assert one(sender, post(receiver.url)).error == "timeout"
        hang = False
        assert one(sender, post(receiver.url)).status == 200
        hang = True
        for key in range(4):
            sender.submit(key, post(receiver.url))
        answers = drive_until(sender, lambda: len(receiver.received) == 6)
        assert not answers  # all four are there at once, not the two of the slow lane
    sender.close()


def test_one_host_with_too_much_waiting_is_told_busy_and_leaves_room() -> None:
    sender = Sender(border(), concurrency=4, per_host=1)
    assert sender.room() == 16
    with Receiver(hosts=2) as receiver:
        for key in range(7):
            sender.submit(key, post(receiver.urls[0]))
        sender.submit(7, post(receiver.urls[1]))
        assert sender.room() == 8
        answers = dict(drive(sender, 8))
    assert [answers[key].error for key in range(8)] == ["", "", "", "", "", "busy", "busy", ""]
    assert sender.room() == 16
    assert sender.in_flight == 0
    sender.close()


def test_what_is_urgent_goes_before_all_that_waits_and_finds_no_host_busy() -> None:
    sender = Sender(border(), concurrency=4, per_host=1)
    with Receiver(lambda request: Reply(hang=True)) as receiver:
        for key in range(6):
            sender.submit(key, post(f"{receiver.url}/{key}"))
        [(key, answer)] = drive_until(sender, lambda: len(receiver.received) == 1)
        assert (key, answer.error) == (5, "busy")
        for key in (7, 8):
            sender.submit(key, post(f"{receiver.url}/{key}"), urgent=True)
        receiver.release()
        answers = dict(drive(sender, 7))
    sender.close()
    assert [request.target for request in receiver.received] == ["/0", "/7", "/8", "/1", "/2", "/3", "/4"]
    assert {answer.status for answer in answers.values()} == {200}


def test_hosts_that_fill_the_line_and_then_hang_make_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "SLOW_SECONDS", 0.2)
    sender = Sender(border(), concurrency=8, per_host=1)
    with Receiver(lambda request: Reply(hang=True), hosts=6) as receiver:
        for key in range(60):
            sender.submit(key, post(receiver.urls[key % 6]))
        assert sender.room() == 0
        drive_until(sender, lambda: sender.room() >= 24)  # of 32; slow ones keep a quarter
        assert len(sender.waiting()) == 8
    sender.close()


def test_a_host_with_something_urgent_goes_before_other_hosts() -> None:
    sender = Sender(border(), concurrency=1, per_host=1)
    with Receiver(lambda request: Reply(hang=True), hosts=3) as receiver:
        for key, number in enumerate((0, 1, 2)):
            sender.submit(key, post(receiver.urls[number]))
        drive_until(sender, lambda: len(receiver.received) == 1)
        sender.submit(9, post(receiver.urls[2]), urgent=True)
        receiver.release()
        drive(sender, 4)
    sender.close()
    assert [request.host_number for request in receiver.received][:2] == [0, 2]


def test_what_waits_can_be_taken_back_and_what_has_left_cannot(sender: Sender) -> None:
    with Receiver(lambda request: Reply(hang=True), hosts=2) as receiver:
        for key in range(6):
            sender.submit(key, post(receiver.urls[0]))
        sender.submit(6, post(receiver.urls[1]))
        drive_until(sender, lambda: len(receiver.received) == 5)
        assert sender.waiting() == {4, 5}
        sender.take_back({0, 4, 5, 99})
        assert dict(drive(sender, 2)) == {key: Answer(status=0, error="not-started") for key in (4, 5)}
        assert (sender.waiting(), sender.in_flight) == (set(), 5)
        receiver.release()
        assert {answer.status for _, answer in drive(sender, 5)} == {200}
        assert one(sender, post(receiver.urls[0])).status == 200  # the host is as it was
        assert sender.in_flight == 0


def test_an_answer_that_is_not_recorded_keeps_its_place() -> None:
    """So a crash repeats no more than there are places, however slow the database is."""
    sender = Sender(border(), concurrency=8, per_host=8)
    with Receiver(hosts=4) as receiver:
        for key in range(12):
            sender.submit(key, post(receiver.urls[key % 4]))
        unrecorded: list[tuple[int, Answer]] = []
        while len(unrecorded) < 8:
            sender.unrecorded = len(unrecorded)
            unrecorded += sender.pump(0.5)
        sender.unrecorded = len(unrecorded)
        assert (sender.pump(0.05), len(receiver.received)) == ([], 8)
        sender.unrecorded = 0
        drive(sender, 4)
    sender.close()


def test_closing_breaks_off_what_is_under_way(sender: Sender) -> None:
    with Receiver(lambda request: Reply(hang=True)) as receiver:
        sender.submit(1, post(receiver.url))
        drive_until(sender, lambda: len(receiver.received) == 1)
        sender.close()


def test_a_proxy_carries_pushes_and_its_no_is_final_for_now() -> None:
    def proxy(request: Received) -> Reply:
        if request.target.startswith("inside.example"):
            return Reply(raw=b"HTTP/1.1 407 Egress denied\r\nContent-Length: 0\r\n\r\n")
        return Reply(tunnel=("127.0.0.1", int(request.target.rpartition(":")[2])))

    with Receiver() as receiver, Receiver(proxy) as gate:
        through = Sender(border(egress_proxy=gate.url), concurrency=4, per_host=4)
        assert one(through, post(receiver.url.replace("127.0.0.1", "partner.example"))).status == 200
        assert one(through, post("http://inside.example/")).error == "address-refused"
        through.close()
    assert [request.method for request in gate.received] == ["CONNECT", "CONNECT"]
    assert receiver.received[0].headers["host"].startswith("partner.example:")
