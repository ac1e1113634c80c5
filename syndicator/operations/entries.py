"""From rows to the neutral values that are rendered."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from syndicator.domain.feeds import FORMATS, FeedDefinition
from syndicator.domain.stories import Image, PubStatus, Rights, Story, StoryVersion
from syndicator.render.entry import Entry, Feed, Terms
from syndicator.render.left_out import left_out


def entry_of(story: Story, version: StoryVersion, terms: Terms) -> Entry:
    """Return `version` of `story` as it may leave; pictures that are not cleared stay behind."""
    status = version.pubstatus if version.rights is not Rights.NONE else PubStatus.WITHHELD
    images = tuple(map(read_image, version.images))
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
        updated=version.updated_of(story),
        first_created=story.published_at,
        embargoed_until=story.embargoed_until if story.released_at is None else None,
        expires=story.expires_at,
        rights=version.rights,
        ednote=version.ednote,
        correction_note=version.correction_note,
        withdrawn_reason=story.withdrawn_reason or "",
        images=tuple(image for image in images if image.rights is Rights.FREE),
        left_out=left_out(images, version.body_html) if status is PubStatus.USABLE else (),
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
    newest_archive: int = 0,
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
        prev_archive=archive_links(definition, base, newest_archive, seen_from=f"{definition.name}/archive/"),
    )


def archive_of(head: Feed, definition: FeedDefinition, number: int, newest: int) -> Feed:
    """Return `head` made into archive `number` of those up to `newest`; archives are nobody's WebSub topic."""
    base = head.terms.base_url
    current = {fmt: f"{base}/feeds/{head.name}.{fmt}" if definition.public else f"../../{head.name}.{fmt}" for fmt in FORMATS}
    return replace(
        head,
        self_url={fmt: f"{base}/feeds/{head.name}/archive/{number}.{fmt}" for fmt in FORMATS},
        hub_url=None,
        current=current,
        prev_archive=archive_links(definition, base, number - 1),
        next_archive=archive_links(definition, base, number + 1) if number < newest else None,
    )


def archive_links(definition: FeedDefinition, base: str, number: int, *, seen_from: str = "") -> dict[str, str] | None:
    """Return the addresses of archive `number`, None when there is none.

    Those of a private feed are relative references (RFC 3986 section 5), so that each reader stays below its own token address;
    `seen_from` leads from the document to the archives.
    """
    if number < 1:
        return None
    start = f"{base}/feeds/{definition.name}/archive/" if definition.public else seen_from
    return {fmt: f"{start}{number}.{fmt}" for fmt in FORMATS}
