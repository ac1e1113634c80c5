"""The guarded door: every spelling of a forbidden address, every trick while connecting, bounded time and bytes."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syndicator import config
from syndicator.border import is_own_address
from syndicator.errors import AddressRefused, FetchFailed
from syndicator.outbound import Outbound
from tests.receiver import Received, Receiver, Reply, tls_for

PUBLIC = "93.184.216.34"
STRICT = Outbound(config.Outbound(), "Syndicator/test")

FORBIDDEN_IPV4 = (
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255"),
    *("192.168.0.1", "192.168.255.255", "169.254.0.1", "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200"),
    *("100.127.255.255", "168.63.129.16", "192.0.0.1", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.19.255.255"),
    *("198.51.100.7", "203.0.113.9", "192.88.99.1", "192.31.196.1", "192.52.193.1", "192.175.48.1", "224.0.0.1"),
    *("239.255.255.250", "240.0.0.1", "255.255.255.255"),
)
FORBIDDEN_IPV6 = (
    *("::", "::1", "::2", "::127.0.0.1", "::7f00:1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:169.254.169.254"),
    *("::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "::ffff:0:0:1", "0:0:0:0:0:ffff:a00:1", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1"),
    *("64:ff9b::808:808", "64:ff9b:1::a00:1", "100::1", "100:0:0:1::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
    *("2001:2::1", "2001:10::1", "2001:20::1", "2001:30::1", "2001:db8::1", "2001:db8:ffff::1", "2002:7f00:1::1"),
    *("2002:a00:1::", "2002:a9fe:a9fe::1", "2002:808:808::1", "2620:4f:8000::1", "3ffe::1", "3fff::1", "3fff:fff::1"),
    *("4000::1", "5f00::1", "8000::1", "fc00::1", "fd00::1", "fd00:ec2::254", "fdff:ffff::1", "fe80::1", "fe80::a9fe:a9fe"),
    *("febf::1", "fec0::1", "feff::1", "ff00::1", "ff02::1", "ff05::2", "ff0e::1", "2606:4700::5efe:a00:1"),
    *("2606:4700::200:5efe:7f00:1", "1fff::1", "e000::1", "0:0:0:0:0:0:0:1", "0000:0000:0000:0000:0000:0000:0000:0001"),
)


def spellings(address: str) -> list[str]:
    """Write an IPv4 address in every way that inet_aton, and so many a library, understands."""
    value = int(IPv4Address(address))
    a, b, c, d = address.split(".")
    return [
        address,
        f"{address}.",
        str(value),
        hex(value),
        f"0x{value:08X}",
        f"0{value:o}",
        f"000{value:011o}",
        ".".join(f"0x{int(part):x}" for part in (a, b, c, d)),
        ".".join(f"0{int(part):o}" for part in (a, b, c, d)),
        ".".join(f"0x0000{int(part):02x}" for part in (a, b, c, d)),
        f"{a}.{int(b) << 16 | int(c) << 8 | int(d)}",
        f"{a}.{b}.{int(c) << 8 | int(d)}",
        f"0x{int(a):x}.{b}.0{int(c):o}.{d}",
        address.translate(str.maketrans("0123456789.", "０１２３４５６７８９。")),
        address.translate(str.maketrans("0123456789", "⓪①②③④⑤⑥⑦⑧⑨")),
    ]


FORBIDDEN_HOSTS = (
    *(spelling for address in FORBIDDEN_IPV4[:12] for spelling in spellings(address)),
    *FORBIDDEN_IPV4[12:],
    *(f"[{address}]" for address in FORBIDDEN_IPV6),
    *("[fe80::1%25eth0]", "[fe80::1%eth0]", "[::ffff:127.1]", "[127.0.0.1]", "[::1", "::1", "[v1.x]", "[]"),
    *("localhost", "LOCALHOST", "localhost.", "a.localhost", "ｌｏｃａｌｈｏｓｔ", "printer.local", "metadata.google.internal"),
    *("host.docker.internal", "router.lan", "nas.home.arpa", "metadata", "intranet", "x.onion", "y.invalid"),
    *("256.1.1.1", "1.2.3.4.5", "1.2.3.256", "4294967296", "0x100000000", "09.1.1.1", "0x", "1..2", "127.0.0.1..", "a..example"),
    *("%31%32%37.0.0.1", "127%2e0.0.1", "example.com%00", "-a.example", "a-.example", "exa mple.com", "a" * 64 + ".example"),
    *("\u200b.example", "a\u202eb.example", "example.com\u2100", "ex*mple.com", "x," + "y.example", "a" * 254),
)
FORBIDDEN_URLS = (
    *(f"http://{host}/" for host in FORBIDDEN_HOSTS),
    *(
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "javascript:alert(1)",
        "data:text/plain,x",
        "ws://example.com/",
    ),
    *("//example.com/", "/path", "example.com", "", "http:", "http://", "http:///path", "http:/example.com", "http:example.com"),
    *("http://user@example.com/", "http://user:secret@example.com/", "http://@example.com/", "http://a@b@example.com/"),
    *("http://example.com:80@127.0.0.1/", "http://127.0.0.1#@example.com/", "http://127.0.0.1?@example.com/"),
    *(
        "http://example.com\\@127.0.0.1/",
        "http:\\\\example.com/",
        "http://example.com\t/",
        "http://exa\nmple.com/",
        " http://example.com/",
    ),
    *(
        "http://example.com/\r\nX-Evil: 1",
        "http://example.com/a b",
        "http://example.com/\x00",
        "http://example.com/\u2028",
        "\u00a0http://a.example/",
    ),
    *("http://example.com/\ud800", "http://example.com/" + "x" * 2048, "http://example.com/" + "é" * 400),
    *(
        "http://example.com:0/",
        "http://example.com:22/",
        "http://example.com:25/",
        "http://example.com:81/",
        "http://example.com:65536/",
    ),
    *("http://example.com:6379/", "http://example.com:11211/", "http://example.com:2375/", "http://example.com:5432/"),
    *(
        "http://example.com:-1/",
        "http://example.com:+80/",
        "http://example.com:8O/",
        "http://example.com:٨٠/",
        "http://example.com:80:80/",
    ),
)
GOOD_URLS = {
    "http://example.com": "http://example.com/",
    "HTTPS://Example.COM:443/Path?Q=%2F#part": "https://example.com/Path?Q=%2F",
    "http://example.com.:80": "http://example.com/",
    "http://example.com:8080/a/../b//c": "http://example.com:8080/a/../b//c",
    "https://example.com:8443?x=1": "https://example.com:8443/?x=1",
    "https://example.com:49152/": "https://example.com:49152/",
    "https://example.com:/": "https://example.com/",
    "http://münchen.example/straße?ü=1": "http://xn--mnchen-3ya.example/stra%C3%9Fe?%C3%BC=1",
    "http://日本語.example/": "http://xn--wgv71a119e.example/",
    "http://a_b.example.com/": "http://a_b.example.com/",
    "https://xn--bcher-kva.example/": "https://xn--bcher-kva.example/",
    "http://8.8.8.8/": "http://8.8.8.8/",
    "http://134744072/": "http://8.8.8.8/",
    "http://0x08080808/": "http://8.8.8.8/",
    "http://172.32.0.1/": "http://172.32.0.1/",
    "http://100.128.0.1/": "http://100.128.0.1/",
    "http://[2606:4700:4700::1111]/": "http://[2606:4700:4700::1111]/",
    "http://[2606:4700:4700:0:0:0:0:1111]:8080/": "http://[2606:4700:4700::1111]:8080/",
    "https://reader.example/cb?u=http://a@b/&m=x@y": "https://reader.example/cb?u=http://a@b/&m=x@y",
    "https://reader.example/@name": "https://reader.example/@name",
    "https://localhost.example/": "https://localhost.example/",
    "https://1e100.net/": "https://1e100.net/",
    "https://0x.example/": "https://0x.example/",
    "https://partner.example/hook|x{y}^`": "https://partner.example/hook|x{y}^`",
}


def outbound(resolve: Callable[[str, int], list[str]] | None = None, **rules: object) -> Outbound:
    """An Outbound that may reach loopback; `rules` change it."""
    allowed = {"allow_networks": ("127.0.0.0/8",), "total_timeout_seconds": 20.0, "connect_timeout_seconds": 10.0}
    return Outbound(config.Outbound.model_validate(allowed | rules), "Syndicator/test", resolve=resolve)


def test_the_register_is_large_enough() -> None:
    assert len(set(FORBIDDEN_URLS)) >= 225


@pytest.mark.parametrize("url", dict.fromkeys(FORBIDDEN_URLS), ids=lambda url: ascii(url)[1:60])
def test_a_forbidden_address_is_refused_in_every_spelling(url: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        STRICT.check_url(url)
    assert str(refused.value).startswith("address not allowed: ")
    assert not any(address in str(refused.value) for address in FORBIDDEN_IPV4)


@pytest.mark.parametrize(("url", "canonical"), GOOD_URLS.items())
def test_no_good_address_is_refused_and_its_path_and_query_stay_as_written(url: str, canonical: str) -> None:
    assert STRICT.check_url(url).url == canonical
    assert STRICT.check_url(canonical).url == canonical


@pytest.mark.parametrize("address", [*FORBIDDEN_IPV4, *FORBIDDEN_IPV6, "fe80::1%eth0", "", "localhost", "127.1"])
def test_no_connection_goes_to_an_address_that_is_not_public(address: str) -> None:
    assert not STRICT.address_allowed(address)


@pytest.mark.parametrize(
    "address", [PUBLIC, "8.8.8.8", "1.1.1.1", "172.32.0.1", "223.255.255.255", "2606:4700::1", "2a00:1450::1"]
)
def test_public_addresses_may_be_reached(address: str) -> None:
    assert STRICT.address_allowed(address)


def test_this_machines_own_public_address_is_refused_unless_the_operator_allows_it() -> None:
    """What listens there may be meant for the machine alone, and is behind no proxy when we ask for it."""

    def own(ip: IPv4Address | IPv6Address) -> bool:
        return str(ip) == PUBLIC

    guarded = Outbound(config.Outbound(), "x", resolve=lambda host, port: [PUBLIC], is_own=own)
    for refused in (partial(guarded.check_url, f"http://{PUBLIC}/"), partial(guarded.get, "http://partner.example/")):
        with pytest.raises(AddressRefused):
            refused()
    allowed = Outbound(config.Outbound.model_validate({"allow_networks": [f"{PUBLIC}/32"]}), "x", is_own=own)
    assert allowed.address_allowed(PUBLIC)


def test_an_address_of_this_machine_is_known_as_its_own() -> None:
    assert is_own_address(IPv4Address("127.0.0.1"))
    for ip in (IPv4Address(PUBLIC), IPv4Address("192.0.2.1"), IPv6Address("2606:4700::1"), IPv6Address("2001:db8::1")):
        assert not is_own_address(ip)


@settings(max_examples=300)
@given(st.ip_addresses())
def test_what_is_let_through_is_global_in_the_eyes_of_the_standard_library(address: IPv4Address | IPv6Address) -> None:
    if STRICT.address_allowed(address):
        assert address.is_global
        assert not address.is_multicast


@settings(max_examples=300)
@given(st.text(max_size=60).map("http://{}".format) | st.text(max_size=60))
def test_whatever_is_written_is_refused_or_made_canonical_once_and_for_all(url: str) -> None:
    try:
        checked = STRICT.check_url(url)
    except AddressRefused:
        return
    assert checked.url.isascii()
    assert checked.url.isprintable()
    assert STRICT.check_url(checked.url) == checked


def test_an_operator_may_allow_networks_and_ports() -> None:
    eased = Outbound(config.Outbound.model_validate({"allow_networks": ["10.1.0.0/16", "fd00::/8"], "allowed_ports": [81]}), "x")
    for url in ("http://10.1.2.3:81/", "http://[fd00::1]:9000/", "http://receiver:9000/", "http://localhost:9000/"):
        eased.check_url(url)
    for url in ("http://10.2.0.1:81/", "http://127.0.0.1:81/", "http://10.1.2.3:80/"):
        with pytest.raises(AddressRefused):
            eased.check_url(url)


def test_a_name_may_lead_to_public_addresses_only_or_nowhere() -> None:
    with Receiver() as receiver:
        url = receiver.url.replace("127.0.0.1", "partner.example")
        for answers in (["127.0.0.1"], [PUBLIC, "127.0.0.1"], ["::1", PUBLIC], ["::ffff:127.0.0.1"], ["fe80::1%lo"]):
            guarded = outbound(lambda host, port, found=answers: found, allow_networks=())  # type: ignore[misc]
            with pytest.raises(AddressRefused) as refused:
                guarded.get(url)
            assert "127.0.0.1" not in str(refused.value)
            assert "::1" not in str(refused.value)
        assert receiver.connections == 0


def test_a_name_that_changes_its_mind_is_judged_by_what_is_connected_to() -> None:
    """DNS rebinding: the first look-up is the only one, and each later request judges anew."""
    looked_up: list[str] = []

    def flip(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.2"] if len(looked_up) % 2 else ["127.0.0.1"]

    with Receiver() as receiver:
        guarded = outbound(flip, allow_networks=("127.0.0.2/32",))
        url = receiver.url.replace("127.0.0.1", "partner.example")
        for number in range(200):
            with pytest.raises(FetchFailed if number % 2 == 0 else AddressRefused):
                guarded.get(url)
        assert (len(looked_up), receiver.connections) == (200, 0)


def test_host_name_and_path_arrive_as_written_though_the_address_was_looked_up() -> None:
    with Receiver() as receiver:
        url = receiver.url.replace("127.0.0.1", "partner.example")
        answer = outbound(lambda host, port: ["127.0.0.1"]).get(f"{url}/a/../b?x=1&y", headers={"X-Mine": "1"}, auth=("u", "p"))
    [request] = receiver.received
    assert (answer.status, answer.url) == (200, f"{url}/a/../b?x=1&y")
    assert (request.target, request.headers["host"]) == ("/a/../b?x=1&y", url.removeprefix("http://"))
    assert request.headers["user-agent"] == "Syndicator/test"
    assert request.headers["authorization"] == "Basic dTpw"
    assert request.headers["x-mine"] == "1"


def test_a_dead_first_address_is_passed_over() -> None:
    with Receiver() as receiver:
        url = receiver.url.replace("127.0.0.1", "partner.example")
        assert outbound(lambda host, port: ["127.0.0.9", "127.0.0.1"]).get(url).status == 200


def test_the_environment_names_no_proxy_and_no_password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Receiver() as receiver:
        assert outbound().get(receiver.url).status == 200
    assert "authorization" not in receiver.received[0].headers


@pytest.mark.parametrize(
    "reply",
    [
        Reply(hang=True),
        Reply(drip=True),
        Reply(drip=True, headers=(("Content-Length", "999999"),)),
        Reply(drip=True, headers=(("Connection", "close"), ("Transfer-Encoding", "identity"))),
        Reply(drip=True, raw=b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 90),
    ],
)
def test_an_answer_that_hangs_or_drips_ends_at_the_deadline(reply: Reply) -> None:
    with Receiver(lambda request: reply) as receiver:
        began = monotonic()
        with pytest.raises(FetchFailed) as failed:
            outbound(total_timeout_seconds=0.5).get(receiver.url)
        assert monotonic() - began < 10  # without a deadline it would go on for ever
    assert failed.value.why == "timeout"


def test_a_look_up_that_never_ends_is_given_up() -> None:
    ended = threading.Event()

    def silent(host: str, port: int) -> list[str]:
        ended.wait(30)
        return [PUBLIC]

    with pytest.raises(FetchFailed) as failed:
        outbound(silent, connect_timeout_seconds=0.2).get("http://partner.example/")
    ended.set()
    assert failed.value.why == "timeout"


def _unknown(host: str, port: int) -> list[str]:
    raise socket.gaierror(-2, "10.1.2.3 says no")


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(raw=b""), "connect"),
        (Reply(raw=b"220 smtp ready\r\n"), "connect"),
        (Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), "broken-answer"),
        (Reply(headers=(("Content-Encoding", "gzip"),), body=b"not gzip"), "broken-answer"),
    ],
)
def test_a_broken_answer_is_told_in_a_fixed_word(reply: Reply, why: str) -> None:
    with Receiver(lambda request: reply) as receiver, pytest.raises(FetchFailed) as failed:
        outbound().get(receiver.url)
    assert failed.value.why == why
    assert str(failed.value) == f"could not fetch: {why}"


def test_a_name_or_port_where_nobody_is_is_told_in_a_fixed_word() -> None:
    with pytest.raises(FetchFailed, match=": dns"):
        outbound(_unknown).get("http://partner.example/")
    with Receiver() as receiver:
        pass
    with pytest.raises(FetchFailed, match=": connect"):
        outbound().get(receiver.url)


def test_the_certificate_must_be_for_the_name_that_was_asked_for(tmp_path: Path) -> None:
    context, ca_file = tls_for("127.0.0.1", tmp_path)
    with Receiver(tls=context) as receiver:
        trusting = Outbound(outbound().rules, "x", ca_file=ca_file)
        assert trusting.get(receiver.url).status == 200
        misled = Outbound(outbound().rules, "x", ca_file=ca_file, resolve=lambda host, port: ["127.0.0.1"])
        for guarded, url in ((misled, receiver.url.replace("127.0.0.1", "partner.example")), (outbound(), receiver.url)):
            with pytest.raises(FetchFailed, match=": tls"):
                guarded.get(url)


def test_a_silent_tls_server_is_cut_off_too() -> None:
    with Receiver(lambda request: Reply(hang=True)) as receiver, pytest.raises(FetchFailed) as failed:
        outbound(total_timeout_seconds=0.5).get(receiver.url.replace("http:", "https:"))
    assert failed.value.why == "timeout"


def test_an_answer_may_be_as_long_as_allowed_and_not_a_byte_longer() -> None:
    with Receiver(lambda request: Reply(body=b"x" * 1000)) as receiver:
        assert len(outbound().get(receiver.url, max_bytes=1000).body) == 1000
        with pytest.raises(FetchFailed, match=": too-large"):
            outbound().get(receiver.url, max_bytes=999)
        with pytest.raises(FetchFailed, match=": too-large"):
            outbound(max_answer_bytes=999).request("POST", receiver.url, body=b"x")


def test_a_packed_answer_is_counted_unpacked() -> None:
    bomb = gzip.compress(gzip.compress(b"\x00" * 50_000_000))
    replies = {
        "/one": Reply(headers=(("Content-Encoding", "gzip"),), body=gzip.compress(b"\x00" * 5_000_000)),
        "/two": Reply(headers=(("Content-Encoding", "gzip, gzip"),), body=bomb),
        "/ok": Reply(headers=(("Content-Encoding", "gzip"),), body=gzip.compress(b"\x00" * 1000)),
    }
    with Receiver(lambda request: replies[request.target]) as receiver:
        assert len(outbound().get(receiver.url + "/ok").body) == 1000
        for path in ("/one", "/two"):
            with pytest.raises(FetchFailed, match=": too-large"):
                outbound().get(receiver.url + path)


REDIRECTS = (301, 302, 303, 307, 308)


@pytest.mark.parametrize("status", REDIRECTS)
def test_a_pull_follows_redirects_and_says_where_it_ended(status: int) -> None:
    def answer(request: Received) -> Reply:
        return Reply(body=b"here") if request.target == "/there" else Reply(status=status, headers=(("Location", "/there"),))

    with Receiver(answer) as receiver:
        answer_ = outbound().get(receiver.url)
    assert (answer_.url, answer_.status, answer_.body) == (f"{receiver.url}/there", 200, b"here")


@pytest.mark.parametrize(
    "location",
    [
        *("http://10.0.0.1/", "//169.254.169.254/latest/meta-data/", "http://[::1]/", "http://0x7f.1:22/", "file:///etc/passwd"),
        *(
            "http://user:pass@example.com/",
            "http://2130706433.:25/",
            "ftp://example.com/",
            "http://[",
            "gopher://x/",
            "http://metadata",
        ),
    ],
)
def test_a_redirect_to_a_forbidden_address_is_refused(location: str) -> None:
    only_here = outbound(
        lambda host, port: [host if host[0].isdigit() else "10.0.0.1"], allow_networks=("127.0.0.1/32",), allowed_ports=()
    )
    with Receiver(lambda request: Reply(status=302, headers=(("Location", location),))) as receiver:
        with pytest.raises(AddressRefused):
            only_here.get(receiver.url)
        assert len(receiver.received) == 1


def test_redirects_come_to_an_end() -> None:
    with Receiver(lambda request: Reply(status=302, headers=(("Location", request.target + "x"),))) as receiver:
        with pytest.raises(FetchFailed, match=": redirect"):
            outbound().get(receiver.url, redirects=3)
        assert len(receiver.received) == 4


def test_credentials_stay_with_their_host() -> None:
    headers = {
        "Authorization": "Bearer x",
        "X-API-Key": "y",
        "Cookie": "z",
        "If-None-Match": '"1"',
        "Accept": "application/rss+xml",
    }

    def answer(request: Received) -> Reply:
        places = {"/": "/same", "/same": f"{receiver.urls[1]}/other", "/other": f"{receiver.urls[0]}/back"}
        if request.target in places:
            return Reply(status=302, headers=(("Location", places[request.target]),))
        return Reply()

    with Receiver(answer, hosts=2) as receiver:
        outbound().get(receiver.url + "/", headers=headers)
        outbound().get(receiver.url + "/", auth=("user", "password"))
    first, same, other, back = receiver.received[:4]
    for request in (first, same):
        assert {"authorization", "x-api-key", "cookie"} <= request.headers.keys()
    for request in (other, back):
        assert not {"authorization", "x-api-key", "cookie"} & request.headers.keys()
        assert request.headers["if-none-match"] == '"1"'
        assert request.headers["accept"] == "application/rss+xml"
    assert ["authorization" in request.headers for request in receiver.received[4:]] == [True, True, False, False]


def test_what_is_sent_is_not_redirected() -> None:
    with Receiver(lambda request: Reply(status=307, headers=(("Location", "/elsewhere"),))) as receiver:
        answer = outbound().request("PUT", receiver.url, headers={"Content-Type": "text/plain"}, body=b"text")
        assert (answer.status, len(receiver.received)) == (307, 1)
    assert (receiver.received[0].method, receiver.received[0].body) == ("PUT", b"text")


def test_headers_are_read_without_regard_to_case() -> None:
    with Receiver(lambda request: Reply(status=304, headers=(("ETag", '"a"'),))) as receiver:
        answer = outbound().get(receiver.url)
    assert (answer.status, answer.headers["etag"], answer.headers["ETag"]) == (304, '"a"', '"a"')


def test_a_proxy_is_told_the_checked_address_and_never_a_name() -> None:
    asked: list[str] = []

    def proxy(request: Received) -> Reply:
        asked.append(f"{request.method} {request.target}")
        return Reply(raw=b"HTTP/1.1 403 No\r\n\r\n")

    with Receiver(proxy) as receiver:
        through = outbound(lambda host, port: [PUBLIC], egress_proxy=receiver.url)
        with pytest.raises(FetchFailed, match=": connect"):
            through.get("https://partner.example/")
    assert asked == [f"CONNECT {PUBLIC}:443"]


def test_a_request_through_a_proxy_arrives_whole_and_keeps_its_name(tmp_path: Path) -> None:
    context, ca_file = tls_for("127.0.0.1", tmp_path)
    with (
        Receiver(lambda request: Reply(body=b"there")) as plain,
        Receiver(lambda request: Reply(body=b"safe"), tls=context) as safe,
    ):

        def proxy(request: Received) -> Reply:
            host, _, port = request.target.partition(":")
            return Reply(tunnel=(host, int(port)))

        with Receiver(proxy) as receiver:
            through = Outbound(
                outbound(egress_proxy=receiver.url).rules, "x", ca_file=ca_file, resolve=lambda host, port: ["127.0.0.1"]
            )
            assert through.get(plain.url.replace("127.0.0.1", "partner.example")).body == b"there"
            assert through.get(safe.url).body == b"safe"
            assert [request.method for request in receiver.received] == ["CONNECT", "CONNECT"]
        assert plain.received[0].headers["host"].startswith("partner.example:")
