"""Errands: single requests that the engine makes beside deliveries (verifying a WebSub callback, trying an endpoint out).

An errand that was taken and not settled comes back by itself, like a delivery; what it asks for is safe to ask twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Select
from sqlalchemy.orm import Session

from syndicator.channels import Answer, Request
from syndicator.house import House


@dataclass(frozen=True, slots=True)
class Errand:
    """One request, the row it is for, and the body that has to come back, if one has to."""

    row_id: int
    request: Request
    challenge: str = ""
    carries_story: bool = False  # judged anew when it has waited for its turn: taken back, and claimed again


class Errands(Protocol):
    """One kind of errand."""

    @property
    def due(self) -> Select[Any]:
        """The rows that are due AT (see ledger.py)."""
        ...

    def claim_due(self, session: Session, house: House, *, at: datetime, limit: int) -> list[Errand]: ...
    def settle(self, session: Session, house: House, answered: Sequence[tuple[Errand, Answer]], *, at: datetime) -> None: ...
