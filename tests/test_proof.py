"""Proof of a domain: three ways, the usual mix-ups told, and nothing that somebody else could bring about counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from syndicator import config
from syndicator.operations.prove_domains import new_token
from syndicator.outbound import Outbound
from syndicator.proof import FILE, Found, NotFound, Prover, same_site
from tests.name_server import NameServer
from tests.receiver import Received, Receiver, Reply, tls_for

DOMAIN = "courier.example"
RECORD = f"_syndicator-challenge.{DOMAIN}"
TOKEN = new_token()
OTHERS = new_token()
Answer = Callable[[Received], Reply]


@pytest.fixture
def names() -> Iterator[NameServer]:
    with NameServer() as server:
        yield server


def look(names: NameServer, answer: Answer = lambda _: Reply(404)) -> Found | NotFound:
    """Look for TOKEN while the site answers as `answer` says."""
    with Receiver(answer) as site:
        port = urlsplit(site.url).port
        outbound = Outbound(
            config.Outbound.model_validate({"allow_networks": ["127.0.0.0/8"]}),
            "test",
            resolve=lambda _host, _port: ["127.0.0.1"],
        )
        return Prover(outbound, names.resolver(), lambda domain: f"http://{domain}:{port}").look(DOMAIN, TOKEN)


def at(path: str, body: bytes, status: int = 200, location: str = "") -> Answer:
    headers = (("location", location),) if location else ()
    return lambda request: Reply(status, headers, body) if request.target == path else Reply(404)


def words(outcome: Found | NotFound) -> str:
    assert isinstance(outcome, NotFound)
    return outcome.words


@pytest.mark.parametrize("value", ["{}", " {} ", "“{}”"])
def test_a_record_proves_the_domain(names: NameServer, value: str) -> None:
    names.texts = {RECORD: ["v=spf1 -all", value.format(TOKEN)]}
    assert look(names) == Found("dns")


def test_a_record_behind_an_alias_proves_the_domain(names: NameServer) -> None:
    names.aliases = {RECORD: "courier.hosting.example"}
    names.texts = {"courier.hosting.example": [TOKEN]}
    assert look(names) == Found("dns")


@pytest.mark.parametrize("body", ["{0}", "{0}\n", "\ufeff{1}\r\n{0}\r\n"])
def test_a_file_proves_the_domain(names: NameServer, body: str) -> None:
    assert look(names, at(FILE, body.format(TOKEN, OTHERS).encode())) == Found("file")


@pytest.mark.parametrize(
    "page",
    [
        '<html><head><meta name="syndicator-site-verification" content="{}"></head><body>',
        "<meta content='{}' name=Syndicator-Site-Verification><title>Courier</title><p>",
        '<!doctype html><title>x</title><meta charset=utf-8><meta name="syndicator-site-verification" content=" {} "/>',
    ],
)
def test_a_tag_in_the_head_proves_the_domain(names: NameServer, page: str) -> None:
    assert look(names, at("/", page.format(TOKEN).encode())) == Found("meta")


@pytest.mark.parametrize(
    "page",
    [
        '<html><head></head><body><p>A reader: <meta name="syndicator-site-verification" content="{}"></p>',
        '<html><head><!-- <meta name="syndicator-site-verification" content="{}"> --></head>',
        '<html><head><meta name="description" content="{}"></head>',
        "<html><head><title>{}</title></head><body>{}</body>",
        "",
        "\0",
    ],
)
def test_what_a_reader_could_write_proves_nothing(names: NameServer, page: str) -> None:
    assert "has no syndicator-site-verification" in words(look(names, at("/", page.replace("{}", TOKEN).encode())))


def test_a_server_that_repeats_what_it_is_asked_proves_nothing(names: NameServer) -> None:
    def echo(request: Received) -> Reply:
        return Reply(200, (), f"{request.target} {request.headers} is not here".encode())

    assert isinstance(look(names, echo), NotFound)


def test_a_redirect_within_the_site_is_followed_and_one_to_elsewhere_is_not(names: NameServer) -> None:
    def redirecting(target: str) -> Answer:
        def answer(request: Received) -> Reply:
            here = urlsplit(f"http://{request.headers['host']}")
            if request.headers["host"].startswith(target):
                return Reply(200, (), TOKEN.encode())
            return Reply(301, (("location", f"http://{target}:{here.port}{request.target}"),))

        return answer

    assert look(names, redirecting(f"www.{DOMAIN}")) == Found("file")
    assert "redirects to another site" in words(look(names, redirecting("parked.example")))
    assert "in a circle" in words(look(names, lambda request: Reply(302, (("location", request.target),))))


def test_a_site_that_answers_under_www_alone_can_prove_itself(names: NameServer) -> None:
    with Receiver(lambda request: Reply(200, (), TOKEN.encode()) if request.target == FILE else Reply(404)) as site:
        port = urlsplit(site.url).port
        outbound = Outbound(
            config.Outbound.model_validate({"allow_networks": ["127.0.0.0/8"]}),
            "test",
            resolve=lambda host, _port: ["127.0.0.1"] if host == f"www.{DOMAIN}" else [],
        )
        assert Prover(outbound, names.resolver(), lambda host: f"http://{host}:{port}").look(DOMAIN, TOKEN) == Found("file")


def test_a_proof_that_left_the_encrypted_way_does_not_count(names: NameServer, tmp_path: Path) -> None:
    """Whoever sits between could answer a plain request."""
    context, ca_file = tls_for(DOMAIN, tmp_path)
    with Receiver(lambda _: Reply(200, (), TOKEN.encode())) as plain, Receiver(tls=context) as site:
        port, other = urlsplit(site.url).port, urlsplit(plain.url).port
        site.answer = lambda request: Reply(302, (("location", f"http://{DOMAIN}:{other}{request.target}"),))
        outbound = Outbound(
            config.Outbound.model_validate({"allow_networks": ["127.0.0.0/8"]}),
            "test",
            resolve=lambda _host, _port: ["127.0.0.1"],
            ca_file=ca_file,
        )
        outcome = Prover(outbound, names.resolver(), lambda host: f"https://{host}:{port}").look(DOMAIN, TOKEN)
        assert "redirects to http" in words(outcome)
        assert plain.received == []


def test_each_mix_up_is_told(names: NameServer) -> None:
    names.texts = {RECORD: [OTHERS]}
    assert f"{RECORD} holds a token of another site or account" in words(look(names))
    names.texts = {RECORD: ["hello"]}
    assert f"{RECORD} holds something else" in words(look(names))
    names.texts = {f"{RECORD}.{DOMAIN}": [TOKEN]}
    assert "the domain was added twice" in words(look(names))
    names.texts = {DOMAIN: [TOKEN]}
    assert "it stands at the domain itself" in words(look(names))
    names.texts = {}
    assert "File: /.well-known/syndicator-challenge.txt holds a token of another" in words(look(names, at(FILE, OTHERS.encode())))
    assert "answered 503" in words(look(names, lambda _: Reply(503)))


def test_name_servers_that_are_silent_are_told_and_the_other_ways_are_tried() -> None:
    with NameServer(silent=True) as names:
        names_resolver = names.resolver(lifetime=0.2)
        outbound = Outbound(config.Outbound(), "test", resolve=lambda _host, _port: ["127.0.0.1"])
        outcome = Prover(outbound, names_resolver).look(DOMAIN, TOKEN)
    assert "gave no answer" in words(outcome)
    assert "its address is not one we connect to" in words(outcome)  # a name that leads to an inner address


def test_what_counts_as_the_same_site() -> None:
    assert all(same_site(host, "courier.example") for host in ("courier.example", "www.courier.example", "m.courier.example"))
    assert same_site("courier.example", "www.courier.example")
    assert not any(
        same_site(host, "courier.example") for host in ("example", "notcourier.example", "courier.example.evil.example")
    )


def test_tokens_have_at_least_128_bits_and_never_repeat() -> None:
    assert len(TOKEN.removeprefix("syn-site-")) * 5 >= 128
    assert TOKEN != OTHERS
