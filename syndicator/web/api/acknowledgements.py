"""What a publisher is asked to acknowledge: corrections, kills and takedowns of stories that it had."""

from __future__ import annotations

from syndicator.domain.deliveries import Acknowledgement
from syndicator.domain.publishers import Scope
from syndicator.operations.acknowledge import acknowledge, pending_acknowledgements
from syndicator.storage.engine import reading
from syndicator.web.api.blueprint import api
from syndicator.web.api.contract import Answer, Moment, endpoint
from syndicator.web.identity import require_publisher, the_house


class AcknowledgementShown(Answer):
    seq: int
    type: str
    story: str
    reason: str
    asked_at: Moment
    acknowledged_at: Moment | None


class Acknowledgements(Answer):
    acknowledgements: list[AcknowledgementShown]


@api.get("/acknowledgements")
@endpoint()
def acknowledgements() -> Acknowledgements:
    """List what is still to be acknowledged, the longest waiting first."""
    _, publisher = require_publisher(Scope.READ)
    with reading(the_house().sessions) as session:
        return Acknowledgements(acknowledgements=[_shown(each) for each in pending_acknowledgements(session, publisher.id)])


@api.post("/acknowledgements/<int:seq>")
@endpoint()
def acknowledge_event(seq: int) -> AcknowledgementShown:
    """Say that you have acted on a correction, kill or takedown; saying it again changes nothing."""
    (asker, publisher), house = require_publisher(Scope.READ), the_house()
    with house.sessions.begin() as session:
        return _shown(acknowledge(session, publisher.id, seq, by=asker.actor, actor=asker.actor, at=house.clock()))


def _shown(asked: Acknowledgement) -> AcknowledgementShown:
    return AcknowledgementShown(
        seq=asked.event_seq,
        type=f"story.{asked.event.type.value}",
        story=asked.event.story.uri,
        reason=asked.event.reason,
        asked_at=asked.asked_at,
        acknowledged_at=asked.acknowledged_at,
    )
