"""The one gate: may this viewer have this story (or feed) now, and the reason why (not).

Every exit asks here: feed, item, search, API, push, embed. Unknown means no. The rules read facts and return a value; they raise
nothing and ask nobody. Who the viewer is gets judged before what the story is, so that a stranger learns nothing about stories.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from syndicator.domain.agreements import Grant
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
    detail: str = ""  # what the reason's own words leave open
    grant: Grant | None = None  # the agreement it rests on; None: the free-use license

    def require(self) -> None:
        """Raise AccessDenied unless granted."""
        if not self.granted:
            raise AccessDenied(self.reason, self.detail or None)


GRANTED = Decision(granted=True, reason=Reason.OK)


def denied(reason: Reason, detail: str = "") -> Decision:
    return Decision(granted=False, reason=reason, detail=detail)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks. Without a publisher and without the newsroom scope: anybody."""

    publisher_id: int | None = None
    state: PublisherState | None = None
    approved_until: datetime | None = None
    terms_accepted: bool = False
    terms_until: datetime | None = None  # until then an acceptance of the version before counts
    embargo_trusted: bool = False
    scopes: frozenset[Scope] = frozenset()
    grants: tuple[Grant, ...] = ()  # its agreements

    @property
    def without_quotas(self) -> Viewer:
        """The same viewer where stories leave by the dozen or unasked: agreements with a quota count for single stories only."""
        return replace(self, grants=tuple(grant for grant in self.grants if grant.quota is None))

    @property
    def newsroom(self) -> bool:
        return Scope.NEWSROOM in self.scopes


ANYBODY = Viewer()


def viewer_of(
    publisher: Publisher, license_version: str, scopes: frozenset[Scope] = frozenset(), grants: tuple[Grant, ...] = ()
) -> Viewer:
    """Read the facts of `publisher` that the gate judges by."""
    return Viewer(
        publisher_id=publisher.id,
        state=publisher.state,
        approved_until=publisher.approved_until,
        terms_accepted=publisher.terms_version == license_version,
        terms_until=publisher.terms_until if publisher.terms_version else None,
        embargo_trusted=publisher.embargo_trusted,
        scopes=scopes - {Scope.NEWSROOM},  # never a publisher's, whatever a row says
        grants=grants,
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
    in_grace = viewer.terms_until is not None and at < viewer.terms_until
    return GRANTED if viewer.terms_accepted or in_grace else denied(Reason.TERMS_NOT_ACCEPTED)


def decide(viewer: Viewer, story: Story, purpose: Purpose, at: datetime) -> Decision:
    """Say whether `viewer` may have `story` at the instant `at`."""
    if purpose is Purpose.TAKE:
        who = decide_viewer(viewer, at)
        if not who.granted:
            return who
    if viewer.newsroom:
        return GRANTED
    if purpose is not Purpose.TAKE:
        return decide_story(story, at)
    grants = [grant for grant in viewer.grants if grant.in_force(at) and grant.covers(story)]
    decision = decide_story(story, at, embargo_trusted=trusted_with(viewer, story, at))
    return _licensed(story, grants) if grants and decision.reason is Reason.LICENSE_REQUIRED else decision


def trusted_with(viewer: Viewer, story: Story, at: datetime) -> bool:
    """Whether `viewer` may know of `story` while it is under embargo: always, or by an agreement that covers it."""
    if viewer.embargo_trusted or viewer.newsroom:
        return True
    return any(grant.embargo_trusted and grant.in_force(at) and grant.covers(story) for grant in viewer.grants)


def _licensed(story: Story, grants: list[Grant]) -> Decision:
    """Decide about a story that only the holders of `grants`, which cover it, may have. One without a quota goes first."""
    open_ = [grant for grant in grants if grant.has_room_for(story)]
    if open_:
        return Decision(granted=True, reason=Reason.OK, grant=min(open_, key=lambda grant: grant.quota_left is not None))
    spent = grants[0]
    detail = f"Agreement {spent.public_id} covers this story, but its quota of {spent.quota} stories is spent for this period."
    return denied(Reason.LICENSE_REQUIRED, detail)


def decide_story(story: Story, at: datetime, *, embargo_trusted: bool = False) -> Decision:
    """Say whether `story` itself may be had, without any agreement, by a viewer who may have stories."""
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
    if feed.public:
        return GRANTED
    who = decide_viewer(viewer, at)
    if not who.granted or viewer.newsroom or not feed.licensed:
        return who
    if any(grant.in_force(at) and grant.opens_feed(feed.name) for grant in viewer.grants):
        return GRANTED
    return denied(Reason.LICENSE_REQUIRED, "This feed holds licensed stories; an agreement without a quota must cover it.")
