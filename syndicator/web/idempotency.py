"""`Idempotency-Key` on POST under /v1 (draft-ietf-httpapi-idempotency-key-header): the same request again has the same answer."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass

from flask import Flask, Response, g, has_request_context, request
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from syndicator.domain.requests import RememberedRequest
from syndicator.errors import AccessDenied, InvalidRequest, StillRunning
from syndicator.house import House
from syndicator.operations.remembering import claim, give_up, note_effect, remember
from syndicator.web.identity import caller

log = logging.getLogger(__name__)
MAX_KEY = 255
KEPT_HEADERS = ("Content-Type", "Location")


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a claimed request: its answer, encrypted, or None when it failed."""

    claimed: RememberedRequest
    answer: str | None
    refused: bool

    def store(self, house: House) -> None:
        with house.sessions.begin() as session:
            if self.answer is not None:
                remember(session, self.claimed, self.answer)
            else:
                give_up(session, self.claimed, refused=self.refused)


def furnish(app: Flask, house: House) -> None:
    """Honour the key on every POST of `app` under /v1 that is sent with an API key."""

    late: dict[int, Settlement] = {}  # what could not be stored, as when the disk was full; until it can be, or we end

    def begin() -> Response | None:
        word = request.headers.get("Idempotency-Key")
        if word is None or request.method != "POST" or not request.path.startswith("/v1/") or (holder := _holder()) is None:
            return None
        if not 0 < len(word) <= MAX_KEY or not word.isprintable():
            raise InvalidRequest(f"needs 1 to {MAX_KEY} printable characters", "Idempotency-Key")
        for number, settlement in list(late.items()):
            settlement.store(house)
            late.pop(number, None)
        try:
            with house.sessions.begin() as session:
                claimed = claim(session, holder, _digest(word.encode()), _fingerprint(), at=house.clock())
        except IntegrityError as error:  # another process claimed it in the same instant
            raise StillRunning from error
        if claimed.answer is not None:
            return _replayed(json.loads(house.vault.unlock(claimed.answer)))
        g.claimed_request = claimed
        return None

    def end(response: Response) -> Response:
        claimed: RememberedRequest | None = g.pop("claimed_request", None)
        if claimed is not None:
            answer = house.vault.lock(_written(response)) if response.status_code < 300 else None
            settlement = Settlement(claimed, answer, refused=response.status_code < 500)
            try:
                settlement.store(house)
            except SQLAlchemyError:  # if there was an effect, it is committed, so its answer must go out all the same
                log.exception("answer not remembered holder=%s", claimed.holder)
                late[id(settlement)] = settlement
        return response

    app.before_request(begin)
    app.after_request(end)
    event.listen(house.sessions, "before_commit", _note_effect)


def _note_effect(session: Session) -> None:
    """Every transaction that commits inside a claimed request carries the note that the request took effect."""
    if has_request_context() and (claimed := g.get("claimed_request")) is not None:
        note_effect(session, claimed)


def _holder() -> str | None:
    """Return whose key it is; one that is not valid is refused by the view."""
    try:
        key = caller().key
    except AccessDenied:
        return None
    return key.public_id if key else None


def _fingerprint() -> str:
    return _digest(b"\0".join([request.method.encode(), request.full_path.encode(), request.get_data()]))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _written(response: Response) -> str:
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    return json.dumps({"status": response.status_code, "headers": headers, "body": response.get_data(as_text=True)})


def _replayed(kept: dict[str, object]) -> Response:
    response = Response(str(kept["body"]), status=kept["status"], headers=kept["headers"])  # type: ignore[arg-type]
    response.headers["Idempotent-Replayed"] = "true"
    return response
