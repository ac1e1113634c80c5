"""The one gate: may this viewer have this story (or feed) now, and the reason why (not).

Every exit asks here: feed, item, search, API, push, embed. Unknown means no. The rules read facts and return a value; they raise
nothing and ask nobody. Who the viewer is gets judged before what the story is, so that a stranger learns nothing about stories.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from syndicator.domain.feeds import FeedDefinition
from syndicator.domain.publishers import Publisher, PublisherState, Scope
from syndicator.domain.stories import PubStatus, Rights, Story
from syndicator.errors import AccessDenied
from syndicator.reasons import Reason


class Purpose(StrEnum):
    READ = "read"  # a public page or public feed
    TAKE = "take"  # a licensed endpoint, private feed, push or copy on behalf of a publisher


@dataclass(frozen=True, slots=True)
class Decision:
    granted: bool
    reason: Reason

    def require(self) -> None:
        """Raise AccessDenied unless granted."""
        if not self.granted:
            raise AccessDenied(self.reason)


GRANTED = Decision(granted=True, reason=Reason.OK)


def denied(reason: Reason) -> Decision:
    return Decision(granted=False, reason=reason)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks. Without a publisher and without the newsroom scope: anybody."""

    publisher_id: int | None = None
    state: PublisherState | None = None
    approved_until: datetime | None = None
    terms_accepted: bool = False
    embargo_trusted: bool = False
    scopes: frozenset[Scope] = frozenset()

    @property
    def newsroom(self) -> bool:
        return Scope.NEWSROOM in self.scopes


ANYBODY = Viewer()


def viewer_of(publisher: Publisher, license_version: str, scopes: frozenset[Scope] = frozenset()) -> Viewer:
    """Read the facts of `publisher` that the gate judges by."""
    return Viewer(
        publisher_id=publisher.id,
        state=publisher.state,
        approved_until=publisher.approved_until,
        terms_accepted=publisher.terms_version == license_version,
        embargo_trusted=publisher.embargo_trusted,
        scopes=scopes - {Scope.NEWSROOM},  # never a publisher's, whatever a row says
    )


def decide_viewer(viewer: Viewer, at: datetime) -> Decision:
    """Say whether `viewer` may take licensed content at all."""
    if viewer.newsroom:
        return GRANTED
    match viewer.state:
        case None:
            return denied(Reason.SIGN_IN_REQUIRED)
        case PublisherState.APPLICANT:
            return denied(Reason.APPLICATION_PENDING)
        case PublisherState.SUSPENDED:
            return denied(Reason.SUSPENDED)
        case PublisherState.EXPIRED:
            return denied(Reason.ELIGIBILITY_EXPIRED)
        case PublisherState.APPROVED:
            pass
        case _:
            return denied(Reason.NOT_ELIGIBLE)
    if viewer.approved_until is None or at >= viewer.approved_until:
        return denied(Reason.ELIGIBILITY_EXPIRED)
    return GRANTED if viewer.terms_accepted else denied(Reason.TERMS_NOT_ACCEPTED)


def decide(viewer: Viewer, story: Story, purpose: Purpose, at: datetime) -> Decision:
    """Say whether `viewer` may have `story` at the instant `at`."""
    if purpose is Purpose.TAKE:
        who = decide_viewer(viewer, at)
        if not who.granted:
            return who
    if viewer.newsroom:
        return GRANTED
    return decide_story(story, at, embargo_trusted=viewer.embargo_trusted and purpose is Purpose.TAKE)


def decide_story(story: Story, at: datetime, *, embargo_trusted: bool = False) -> Decision:
    """Say whether `story` itself may be had by a viewer who may have stories."""
    if story.rights is Rights.NONE:
        return denied(Reason.NOT_FOR_SYNDICATION)
    if not embargo_trusted and embargoed(story, at):
        return denied(Reason.EMBARGOED)
    if story.pubstatus is PubStatus.CANCELED:
        return denied(Reason.KILLED)
    if story.pubstatus is PubStatus.WITHHELD:
        return denied(Reason.TAKEN_DOWN)
    if story.expires_at is not None and at >= story.expires_at:
        return denied(Reason.EXPIRED)
    if story.rights is not Rights.FREE:
        return denied(Reason.LICENSE_REQUIRED)
    return GRANTED


def embargoed(story: Story, at: datetime) -> bool:
    """Whether `story` has not been out yet. The minute decides, not whether a job has already run; a clock set back hides nothing
    that was out."""
    if story.released_at is not None:
        return False
    return story.embargoed_until is None or at < story.embargoed_until


def decide_feed(viewer: Viewer, feed: FeedDefinition, at: datetime) -> Decision:
    """Say whether `viewer` may read the documents of `feed`."""
    return GRANTED if feed.public else decide_viewer(viewer, at)
