"""What a key's holder is told about itself, and which feeds there are for it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from syndicator.access import decide_feed, decide_viewer
from syndicator.domain.feeds import FORMATS
from syndicator.domain.publishers import PublisherState, Scope
from syndicator.errors import AccessDenied
from syndicator.reasons import Reason
from syndicator.web.api.blueprint import api
from syndicator.web.api.contract import Answer, Moment, endpoint
from syndicator.web.identity import caller, the_house


class Account(Answer):
    id: str
    name: str
    state: PublisherState


class LicenseNamed(Answer):
    url: str
    version: str


class Me(Answer):
    publisher: Account | None = Field(description="Null for a key of our own newsroom.")
    approved_until: Moment | None
    embargo_trusted: bool = Field(description="Whether stories under embargo are shown, marked as such.")
    eligible: bool = Field(description="Whether stories may be taken now.")
    reason: Reason
    words: str
    scopes: list[Scope]
    license: LicenseNamed


class FeedListed(Answer):
    name: str
    title: str
    description: str
    access: Literal["public", "eligible"]
    content: Literal["full", "summary"]
    granted: bool = Field(description="Whether the caller may have it now.")
    reason: Reason
    urls: dict[str, str] = Field(description="Addresses by format; an eligible feed needs a token.")


class Feeds(Answer):
    feeds: list[FeedListed]


@api.get("/me")
@endpoint()
def me() -> Me:
    """Say who the key's holder is, and whether it may take stories now, and why not."""
    asker, house = caller(), the_house()
    if asker.key is None:
        raise AccessDenied(Reason.SIGN_IN_REQUIRED)
    decision, publisher = decide_viewer(asker.viewer, house.clock()), asker.publisher
    return Me(
        publisher=publisher and Account(id=publisher.public_id, name=publisher.name, state=publisher.state),
        approved_until=publisher and publisher.approved_until,
        embargo_trusted=asker.viewer.embargo_trusted,
        eligible=decision.granted,
        reason=decision.reason,
        words=decision.reason.words,
        scopes=sorted(asker.viewer.scopes),
        license=LicenseNamed(url=house.config.license_url, version=house.config.license.version),
    )


@api.get("/feeds")
@endpoint(public=True)
def feeds() -> Feeds:
    """List the feeds, and whether the caller may have each."""
    house, viewer, at = the_house(), caller().viewer, the_house().clock()
    base = house.config.site.base_url
    decisions = {feed.name: decide_feed(viewer, feed, at) for feed in house.catalogue}
    return Feeds(
        feeds=[
            FeedListed(
                name=feed.name,
                title=feed.title,
                description=feed.description,
                access=feed.access,
                content=feed.content,
                granted=decisions[feed.name].granted,
                reason=decisions[feed.name].reason,
                urls={form: f"{base}/feeds/{feed.name}.{form}" for form in FORMATS},
            )
            for feed in house.catalogue
        ]
    )
