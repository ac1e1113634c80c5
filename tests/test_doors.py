"""Every door that takes somebody else's address: whatever its name leads to, nothing inside is connected to or named."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syndicator import config
from syndicator.channels import Answer, Request, sftp, wordpress
from syndicator.channels.options import SftpOptions
from syndicator.delivery.sender import Sender
from syndicator.domain.publishers import Publisher, PublisherDomain
from syndicator.domain.republications import Republication
from syndicator.domain.stories import Source, SourceKind, Story
from syndicator.house import House
from syndicator.operations.import_stories import import_stories
from syndicator.operations.pull import pull_source
from syndicator.operations.republications import check_due, report
from syndicator.outbound import Outbound
from syndicator.proof import Prover
from tests.desk import Desk
from tests.name_server import NameServer
from tests.receiver import Receiver

HOST = "partner.example"
Told = str  # what the one who chose the address, or the operator, is told


def pulled(kind: SourceKind) -> Callable[[House, Outbound, int], Told]:
    def door(house: House, outbound: Outbound, port: int) -> Told:
        with house.sessions.begin() as session:
            source = Source(
                name="x", kind=kind, url=f"http://{HOST}:{port}/", every_seconds=60, cursor={}, next_pull_at=house.clock()
            )
            session.add(source)
            session.flush()
        return pull_source(house, outbound, source.id).words

    return door


def imported(house: House, outbound: Outbound, port: int) -> Told:
    (result,) = import_stories(house, outbound, [f"http://{HOST}:{port}/story"], actor="editor")
    return result.words


def republished(house: House, outbound: Outbound, port: int) -> Told:
    desk = Desk(house)
    publisher, story = desk.publisher(), desk.publish().story
    with house.sessions.begin() as session:
        session.add(PublisherDomain(publisher_id=publisher.id, domain=HOST, verified_at=house.clock()))
    with house.sessions.begin() as session:
        holder, url = session.get_one(Publisher, publisher.id), f"http://{HOST}:{port}/copy"
        report(session, outbound, holder, session.get_one(Story, story.id), url, check=True, actor="x", at=house.clock())
    assert check_due(house, outbound) == 1
    with house.sessions() as session:
        return str(session.query(Republication).one().findings["words"])


def proven(house: House, outbound: Outbound, port: int) -> Told:
    with NameServer() as names:
        return str(Prover(outbound, names.resolver(), lambda domain: f"http://{domain}:{port}").look(HOST, "syn-site-x"))


def written_to_wordpress(house: House, outbound: Outbound, port: int) -> Told:
    return wordpress.check_login(outbound, f"http://{HOST}:{port}", "desk", "secret", house.clock())


def put_by_sftp(house: House, outbound: Outbound, port: int) -> Told:
    options = SftpOptions.model_validate({"user": "u", "host_key": "SHA256:" + "A" * 43})
    return sftp.check_folder(outbound, f"sftp://{HOST}:{port}", options, "secret")


def pushed(house: House, outbound: Outbound, port: int) -> Told:
    """What webhooks, WebSub pushes and the hub's verifications leave by."""
    sender = Sender(outbound, concurrency=1, per_host=1)
    sender.submit(1, Request(url=f"http://{HOST}:{port}/", headers=(), pieces=(b"{}",)))
    answers: list[Answer] = []
    while not answers:
        answers = [answer for _, answer in sender.pump(1.0)]
    sender.close()
    return answers[0].error


DOORS: dict[str, Callable[[House, Outbound, int], Told]] = {
    "feed": pulled(SourceKind.FEED),
    "wordpress source": pulled(SourceKind.WORDPRESS),
    "import": imported,
    "republication": republished,
    "domain proof": proven,
    "wordpress destination": written_to_wordpress,
    "sftp": put_by_sftp,
    "push": pushed,
}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["93.184.216.34", "127.0.0.1"],  # mixed: one forbidden address spoils the name
        ["2606:4700::1111", "127.0.0.1"],
        ["127.0.0.1", "2606:4700::1111"],
        ["93.184.216.34", "::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["93.184.216.34", "fd00:ec2::254"],
    ],
    ids=",".join,
)
def test_a_name_that_leads_inside_opens_no_door(house: House, door: str, addresses: list[str]) -> None:
    outbound = Outbound(config.Outbound(), "test", resolve=lambda host, port: addresses)
    with Receiver() as receiver:
        told = DOORS[door](house, outbound, receiver.ports[0])
        assert receiver.connections == 0
    assert told
    assert not any(address in told for address in addresses)
