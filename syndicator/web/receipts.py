"""Receipts for everybody: the page where one is checked, the same for machines, the keys that sign, the license's plain text."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, make_response, render_template, request
from flask.typing import ResponseReturnValue

from syndicator.operations.receipts import Verdict, check_shown
from syndicator.operations.terms import terms_as_they_read
from syndicator.render.license_text import license_text
from syndicator.signing import LONGEST_TOKEN, Signer
from syndicator.storage.engine import reading
from syndicator.web.identity import the_house
from syndicator.web.pages import cacheable

receipts = Blueprint("receipts", __name__)
MACHINE_TYPES = ("application/json", "text/html")


@receipts.get("/receipts/verify")
def verify() -> ResponseReturnValue:
    """Check the receipt in `receipt`, a token or an id: a page for people, JSON for who accepts it before HTML."""
    shown = request.args.get("receipt", "")[: LONGEST_TOKEN + 1]
    verdict, told = None, {}
    if shown.strip():
        with reading(the_house().sessions) as session:
            verdict = check_shown(session, the_house(), shown, at=the_house().clock())
            told = verdict_json(verdict)
    if request.accept_mimetypes.best_match(MACHINE_TYPES, default="text/html") == "application/json":
        response = jsonify(told or {"valid": False, "words": "Give a receipt as ?receipt=…"})
        response.status_code = 200 if verdict else 422
    else:
        response = make_response(render_template("verify.html", shown=shown, verdict=verdict, told=told))
    response.headers["Cache-Control"] = "no-store"  # the answer may be another one a second later
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex"
    response.vary.add("Accept")
    return response


@receipts.get("/.well-known/jwks.json")
def jwks() -> ResponseReturnValue:
    """The public keys, former ones too, so that an old receipt can still be checked."""
    response = jsonify(Signer(the_house().config.data_dir).public_keys())
    response.content_type = "application/jwk-set+json"
    response.headers["Access-Control-Allow-Origin"] = "*"
    return cacheable(response, seconds=300)


@receipts.get("/licenses/free-use/<version>.txt")
def license_words(version: str) -> ResponseReturnValue:
    """One version of the terms as plain text; its SHA-256 stands in receipts as `lic_sha256`."""
    with reading(the_house().sessions) as session:
        terms, duties = terms_as_they_read(session, the_house(), version)
    response = Response(license_text(terms, duties), content_type="text/plain; charset=utf-8")
    return cacheable(response, seconds=300)


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """Write what was found out, for machines."""
    told: dict[str, Any] = {"valid": verdict.valid, "reason": verdict.reason.value, "words": verdict.words}
    receipt = verdict.receipt
    if receipt is None:
        return told
    return told | {
        "id": receipt.jti,
        "publisher": receipt.publisher.name,
        "domains": [each.domain for each in receipt.publisher.domains],
        "story": receipt.story.uri,
        "headline": receipt.story.current.headline if verdict.valid else None,
        "version": receipt.version_number,
        "newer_version": verdict.newer_version,
        "license": receipt.license_url,
        "issued_at": receipt.issued_at.isoformat(timespec="seconds"),
        "expires_at": receipt.expires_at.isoformat(timespec="seconds"),
    }
