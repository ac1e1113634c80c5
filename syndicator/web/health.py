"""For those who watch the service: is the process up, and can it serve."""

from __future__ import annotations

import logging

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from syndicator.operations.mirror import fresh
from syndicator.storage.revision import is_current
from syndicator.web.identity import the_house

log = logging.getLogger(__name__)
health = Blueprint("health", __name__)


@health.get("/healthz")
def healthz() -> ResponseReturnValue:
    """The process is up; nothing else is asked."""
    return jsonify(status="up"), 200, {"Cache-Control": "no-store"}


@health.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Able to serve: the database answers and has the schema of this version, and this machine's documents are up to date."""
    ready, words = _readiness()
    return jsonify(status=words), 200 if ready else 503, {"Cache-Control": "no-store"}


def _readiness() -> tuple[bool, str]:
    house = the_house()
    try:
        if not is_current(house.engine):
            return False, "the database needs `syndicator db upgrade`"
    except SQLAlchemyError as error:
        log.warning("not ready error=%s", type(error).__name__)
        return False, "the database does not answer"
    if not fresh(house, at=house.clock()):
        return False, "this machine's feed documents are not kept up to date; is `syndicator mirror` running?"
    return True, "ready"
