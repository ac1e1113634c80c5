"""From rows to the neutral values that are rendered."""

from __future__ import annotations

from datetime import datetime

from syndicator.domain.feeds import FORMATS, FeedDefinition
from syndicator.domain.stories import Image, PubStatus, Rights, Story, StoryVersion
from syndicator.render.entry import Entry, Feed, Terms


def entry_of(story: Story, version: StoryVersion, terms: Terms) -> Entry:
    """Return `version` of `story` as it may leave; pictures that are not cleared stay behind."""
    status = version.pubstatus if version.rights is not Rights.NONE else PubStatus.WITHHELD
    return Entry(
        uri=story.uri,
        public_id=story.public_id,
        version=version.number,
        status=status,
        url=f"{terms.base_url}/stories/{story.public_id}",
        canonical_url=version.canonical_url,
        headline=version.headline,
        summary=version.summary,
        body_html=version.body_html if status is PubStatus.USABLE else "",
        byline=tuple(version.byline),
        section=version.section,
        tags=tuple(version.tags),
        language=version.language,
        published=story.published_at,
        # A first version taken in late is as old as its story: a bulk import must not look like news.
        updated=story.published_at if version.number == 1 else max(version.created_at, story.published_at),
        first_created=story.published_at,
        embargoed_until=story.embargoed_until if story.released_at is None else None,
        expires=story.expires_at,
        rights=version.rights,
        ednote=version.ednote,
        correction_note=version.correction_note,
        withdrawn_reason=story.withdrawn_reason or "",
        images=tuple(image for image in map(read_image, version.images) if image.rights is Rights.FREE),
    )


def read_image(stored: dict[str, str]) -> Image:
    return Image(stored["url"], stored["caption"], stored["credit"], Rights(stored["rights"]))


def feed_of(
    definition: FeedDefinition,
    terms: Terms,
    language: str,
    *,
    authority: str,
    updated: datetime,
    entries: tuple[Entry, ...],
    withdrawn: tuple[Entry, ...],
) -> Feed:
    """Return the feed's frame with `entries` in it. A private feed names no hub: its topic would be its secret address."""
    base = terms.base_url
    return Feed(
        name=definition.name,
        id=f"tag:{authority},2026:feed/{definition.name}",
        title=f"{terms.newsroom}: {definition.title}",
        description=definition.description or definition.title,
        language=definition.language or language,
        home_url=f"{base}/",
        self_url={fmt: f"{base}/feeds/{definition.name}.{fmt}" for fmt in FORMATS},
        hub_url=f"{base}/hub" if definition.websub and definition.public else None,
        full=definition.content == "full",
        ttl_minutes=definition.ttl_minutes,
        updated=updated,
        entries=entries,
        withdrawn=withdrawn,
        terms=terms,
    )
