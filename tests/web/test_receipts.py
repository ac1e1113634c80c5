"""Receipts: signed for who may use a story, checked in other libraries, revoked by what happens to story and publisher."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from flask.testing import FlaskClient
from jwt.algorithms import OKPAlgorithm

from syndicator.channels.webhook import Webhook
from syndicator.delivery.parcels import load_parcels
from syndicator.domain.publishers import Publisher, PublisherState
from syndicator.domain.stories import Rights, Story
from syndicator.errors import ConfigError
from syndicator.operations.agreements import add_agreement, end_agreement
from syndicator.signing import Signer
from tests.clocks import HandClock
from tests.conftest import BASE_URL
from tests.desk import Desk
from tests.web.callers import key_of

JSON = {"Accept": "application/json"}
PYJWT = jwt.PyJWT()
if "Ed25519" not in PYJWT._jws.get_algorithms():
    PYJWT._jws.register_algorithm("Ed25519", OKPAlgorithm())  # the library knows it by its older name alone


def issue(desk: Desk, client: FlaskClient, publisher: Publisher, story: Story) -> dict[str, Any]:
    answer = client.post(f"/v1/stories/{story.public_id}/receipts", headers=key_of(desk.house, publisher))
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.get_json()
    return told


def verdict(client: FlaskClient, shown: str) -> dict[str, Any]:
    told: dict[str, Any] = client.get("/receipts/verify", query_string={"receipt": shown}, headers=JSON).get_json()
    return told


def part(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_receipt_says_who_may_use_what_on_which_terms_until_when(desk: Desk, client: FlaskClient) -> None:
    publisher, story = desk.publisher(), desk.publish().story
    told = issue(desk, client, publisher, story)
    claims = json.loads(part(told["token"].split(".")[1]))
    license_words = client.get(f"/licenses/free-use/{desk.house.config.license.version}.txt").data
    assert publisher.approved_until is not None
    assert claims | {"iat": 0, "jti": ""} == {
        "iss": BASE_URL,
        "sub": publisher.public_id,
        "name": publisher.name,
        "aud": [publisher.domains[0].domain],
        "domains": [publisher.domains[0].domain],
        "lic": desk.house.config.license_url,
        "lic_sha256": hashlib.sha256(license_words).hexdigest(),
        "story": story.uri,
        "ver": 1,
        "headline": "River gauges go live",
        "body_sha256": hashlib.sha256(b"<p>Two hundred gauges report the river every minute.</p>").hexdigest(),
        "duties": list(desk.house.config.license.duties),
        "notice": {"version": desk.house.config.notice.version, "text": desk.house.config.notice.text},
        "contact": desk.house.config.notice.contact_email,
        "verify": f"{BASE_URL}/receipts/verify",
        "iat": 0,
        "exp": int(publisher.approved_until.timestamp()),
        "jti": "",
    }
    assert (told["id"], told["valid"], told["reason"]) == (claims["jti"], True, "ok")


def test_a_receipt_verifies_in_a_second_library_by_the_published_keys(desk: Desk, client: FlaskClient) -> None:
    publisher, story = desk.publisher(), desk.publish().story
    token = issue(desk, client, publisher, story)["token"]
    answer = client.get("/.well-known/jwks.json")
    assert answer.content_type == "application/jwk-set+json"
    keys = jwt.PyJWKSet.from_dict(answer.get_json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    options: Any = {"verify_exp": False, "verify_iat": False}  # the library's clock is not the test's
    claims = PYJWT.decode(
        token, key.key, algorithms=["Ed25519"], issuer=BASE_URL, audience=publisher.domains[0].domain, options=options
    )
    assert claims["story"] == story.uri
    assert "d" not in answer.get_json()["keys"][0]


def test_a_receipt_breaks_with_any_changed_byte(desk: Desk, client: FlaskClient) -> None:
    token = issue(desk, client, desk.publisher(), desk.publish().story)["token"]
    head, body, signature = token.split(".")
    key = Ed25519PublicKey.from_public_bytes(part(client.get("/.well-known/jwks.json").get_json()["keys"][0]["x"]))
    key.verify(part(signature), f"{head}.{body}".encode())
    signer = Signer(desk.house.config.data_dir)
    claims = bytearray(part(body))
    for place in range(0, len(claims), 17):
        claims[place] ^= 1
        forged = base64.urlsafe_b64encode(claims).decode().rstrip("=")
        claims[place] ^= 1
        with pytest.raises(InvalidSignature):
            key.verify(part(signature), f"{head}.{forged}".encode())
        assert signer.read(f"{head}.{forged}.{signature}") is None


@pytest.mark.parametrize(
    "header", [{"alg": "none"}, {"alg": "HS256"}, {"alg": "Ed25519", "jwk": {"kty": "OKP"}}, {"alg": "EdDSA", "kid": "other"}]
)
def test_a_token_is_not_believed_about_its_own_algorithm_or_key(desk: Desk, client: FlaskClient, header: dict[str, Any]) -> None:
    token = issue(desk, client, desk.publisher(), desk.publish().story)["token"]
    _, body, signature = token.split(".")
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    for forged in (f"{head}.{body}.{signature}", f"{head}.{body}."):
        assert verdict(client, forged)["valid"] is False


def test_what_a_former_key_signed_still_verifies_after_a_rotation(desk: Desk, client: FlaskClient) -> None:
    publisher, story = desk.publisher(), desk.publish().story
    old = issue(desk, client, publisher, story)["token"]
    kid = Signer(desk.house.config.data_dir).rotate()
    new = issue(desk, client, publisher, desk.publish(external_id="other").story)["token"]
    assert jwt.get_unverified_header(new)["kid"] == kid != jwt.get_unverified_header(old)["kid"]
    assert verdict(client, old)["valid"] is verdict(client, new)["valid"] is True
    keys = client.get("/.well-known/jwks.json").get_json()["keys"]
    assert [key["kid"] for key in keys] == [kid, jwt.get_unverified_header(old)["kid"]]
    file = desk.house.config.data_dir / "keys" / "receipts.json"
    assert file.stat().st_mode & 0o077 == 0
    assert [("d" in key) for key in json.loads(file.read_text())["keys"]] == [True, False]


def test_a_key_file_that_was_spoiled_stops_with_its_name(desk: Desk) -> None:
    signer = Signer(desk.house.config.data_dir)
    signer.public_keys()
    (desk.house.config.data_dir / "keys" / "receipts.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"receipts\.json"):
        signer.sign({}, "test")


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        ("kill", "killed"),
        ("take_down", "taken_down"),
        ("suspend", "suspended"),
        ("revoke", "not_eligible"),
        ("year", "expired"),
        ("unlicense", "not_for_syndication"),
    ],
)
def test_a_receipt_is_revoked_by(desk: Desk, client: FlaskClient, clock: HandClock, happens: str, reason: str) -> None:
    publisher, story = desk.publisher(), desk.publish().story
    told = issue(desk, client, publisher, story)
    match happens:
        case "kill" | "take_down":
            getattr(desk, happens)(story)
        case "suspend":
            desk.move(publisher, PublisherState.SUSPENDED)
        case "revoke":
            desk.move(publisher, PublisherState.REVOKED)
        case "year":
            clock.advance(timedelta(days=366))
        case _:
            desk.publish(rights=Rights.NONE)
    for shown in (told["token"], told["id"]):
        found = verdict(client, shown)
        assert (found["valid"], found["reason"]) == (False, reason)
    page = client.get("/receipts/verify", query_string={"receipt": told["token"]})
    assert "This receipt does not hold" in page.text
    own = client.get(f"/v1/receipts/{told['id']}", headers=key_of(desk.house, publisher))
    assert (own.get_json()["valid"], own.get_json()["reason"]) == (False, reason)


def test_a_receipt_under_an_agreement_ends_with_it(desk: Desk, client: FlaskClient, clock: HandClock) -> None:
    publisher, story = desk.publisher(), desk.publish(rights=Rights.LICENSED).story
    ends = clock() + timedelta(days=10)
    with desk.house.sessions.begin() as session:
        holder = session.get_one(Publisher, publisher.id)
        agreement = add_agreement(
            session, desk.house, holder, title="Contract", valid_from=clock(), valid_until=ends, actor="test", at=clock()
        )
    told = issue(desk, client, publisher, story)
    claims = json.loads(part(told["token"].split(".")[1]))
    assert (claims["agreement"], claims["exp"]) == (agreement.public_id, int(ends.timestamp()))
    assert claims["lic"] == told["license"] == f"{BASE_URL}/v1/agreements/{agreement.public_id}.jsonld"
    assert "lic_sha256" not in claims
    policy = client.get(claims["lic"].removeprefix(BASE_URL), headers=key_of(desk.house, publisher)).get_json()
    assert policy["uid"] == claims["lic"]
    page = client.get("/receipts/verify", query_string={"receipt": told["token"]}).text
    assert f"agreement <code>{agreement.public_id}</code>" in page
    assert verdict(client, told["token"])["valid"] is True
    with desk.house.sessions.begin() as session:
        end_agreement(session, agreement.public_id, reason="Over.", actor="test", at=clock())
    assert verdict(client, told["token"])["reason"] == "license_required"


def test_a_receipt_for_a_corrected_story_names_the_newer_version(desk: Desk, client: FlaskClient) -> None:
    publisher, story = desk.publisher(), desk.publish().story
    told = issue(desk, client, publisher, story)
    again = issue(desk, client, publisher, story)
    assert again["id"] == told["id"]  # the one that holds is not repeated
    desk.publish(body_html="<p>Three hundred.</p>", correction_note="There are three hundred.")
    found = verdict(client, told["token"])
    assert (found["valid"], found["newer_version"]) == (True, 2)
    assert issue(desk, client, publisher, story)["version"] == 2


@pytest.mark.parametrize("state", ["unapproved", "licensed", "killed", "embargoed", "unknown"])
def test_no_receipt_is_given_for_what_may_not_be_taken(desk: Desk, client: FlaskClient, clock: HandClock, state: str) -> None:
    publisher = desk.publisher(approved=state != "unapproved")
    changes: dict[str, Any] = {"rights": Rights.LICENSED} if state == "licensed" else {}
    if state == "embargoed":
        changes = {"embargoed_until": clock() + timedelta(hours=1)}
    story = desk.publish(**changes).story
    if state == "killed":
        desk.kill(story)
    public_id = "nothing" if state == "unknown" else story.public_id
    answer = client.post(f"/v1/stories/{public_id}/receipts", headers=key_of(desk.house, publisher))
    assert answer.status_code == {"killed": 410, "embargoed": 404, "unknown": 404}.get(state, 403)


def test_a_receipt_given_under_an_embargo_holds_from_its_minute_on(desk: Desk, client: FlaskClient, clock: HandClock) -> None:
    publisher = desk.publisher(embargo_trusted=True)
    story = desk.publish(embargoed_until=clock() + timedelta(hours=1)).story
    told = issue(desk, client, publisher, story)
    assert (told["valid"], told["reason"]) == (False, "embargoed")
    early = verdict(client, told["token"])
    assert (early["valid"], early["reason"]) == (False, "embargoed")
    assert "It counts from" in early["words"]
    assert json.loads(part(told["token"].split(".")[1]))["nbf"] == int((clock() + timedelta(hours=1)).timestamp())
    clock.advance(timedelta(hours=1))
    assert verdict(client, told["token"])["valid"] is True


def test_a_receipt_may_be_pasted_as_it_came(desk: Desk, client: FlaskClient) -> None:
    told = issue(desk, client, desk.publisher(), desk.publish().story)
    token = told["token"]
    broken = "\r\n".join(token[start : start + 76] for start in range(0, len(token), 76))
    link = f"<{BASE_URL}/receipts/verify?receipt={token}&x=1>"
    for shown in (told["id"], f" {told['id']}\n", broken, told["verify_url"], link):
        assert verdict(client, shown)["id"] == told["id"]


@pytest.mark.parametrize("shown", ["rcpt_%00", "rcpt_' OR 1=1", f"rcpt_{'x' * 200}", "a.b.c", "..", "😀", "receipt=", "%00"])
def test_what_is_no_receipt_is_unknown_and_no_fault(desk: Desk, client: FlaskClient, shown: str) -> None:
    told = verdict(client, shown)
    assert (told["valid"], told["reason"]) == (False, "invalid_request")
    assert client.get("/receipts/verify", query_string={"receipt": shown}).status_code == 200


def test_a_nul_in_a_receipt_is_refused_before_it_is_looked_up(client: FlaskClient) -> None:
    for shown in ("rcpt_\x00", "\x00"):
        assert client.get("/receipts/verify", query_string={"receipt": shown}).status_code == 422


def test_the_page_says_whose_receipt_it_is_for_what_and_until_when(desk: Desk, client: FlaskClient) -> None:
    publisher, story = desk.publisher(), desk.publish().story
    told = issue(desk, client, publisher, story)
    page = client.get(told["verify_url"].removeprefix(BASE_URL)).text
    for words in ("This receipt holds", publisher.name, "River gauges go live", "version 1", desk.house.config.license_url):
        assert words in page
    desk.kill(story)
    page = client.get(told["verify_url"].removeprefix(BASE_URL)).text
    assert "This receipt does not hold" in page
    assert "River gauges go live" not in page
    assert "This is no receipt of ours" in client.get("/receipts/verify?receipt=x").text


def test_another_publishers_receipt_is_unknown(desk: Desk, client: FlaskClient) -> None:
    told = issue(desk, client, desk.publisher(), desk.publish().story)
    answer = client.get(f"/v1/receipts/{told['id']}", headers=key_of(desk.house, desk.publisher()))
    nothing = client.get("/v1/receipts/rcpt_none", headers=key_of(desk.house, desk.publisher()))
    assert answer.status_code == nothing.status_code == 404


def test_the_page_shows_nothing_of_what_was_pasted_as_markup(desk: Desk, client: FlaskClient) -> None:
    page = client.get("/receipts/verify", query_string={"receipt": "</textarea><script>alert(1)</script>"})
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert client.get("/receipts/verify").status_code == 200
    assert client.get("/receipts/verify", headers=JSON).status_code == 422


def test_the_link_in_a_webhook_leads_to_a_receipt(desk: Desk, client: FlaskClient) -> None:
    publisher = desk.publisher()
    subscription = desk.subscription(publisher)
    desk.publish()
    with desk.house.sessions() as session:
        (parcel,) = load_parcels(session, desk.house, [desk.owed(subscription)[0].id], at=desk.house.clock()).parcels
    link = json.loads(Webhook().request(parcel, desk.house.clock()).body)["data"]["links"]["receipt"].removeprefix(BASE_URL)
    assert client.post(link, headers=key_of(desk.house, publisher)).status_code == 201
