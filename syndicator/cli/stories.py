"""Commands about stories."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from syndicator.cli.desk import Desk, say
from syndicator.domain.stories import Event, Story, StoryVersion
from syndicator.errors import InvalidRequest
from syndicator.operations.correct import correct_story
from syndicator.operations.explain import explain, story_meant
from syndicator.operations.import_stories import Imported, import_stories
from syndicator.operations.publishers import get_publisher
from syndicator.operations.render_feeds import render_stale
from syndicator.operations.restore import restore_story
from syndicator.operations.withdraw import kill_story, take_down
from syndicator.storage.queries import get_story, get_version


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Stories: take in, correct, kill, look at.", no_args_is_help=True)
    group.command("import")(import_)
    group.command("list")(list_stories)
    group.command("show")(show)
    group.command("correct")(correct)
    group.command("kill")(kill)
    group.command("takedown")(takedown)
    group.command("restore")(restore)
    group.command("history")(history)
    group.command("why")(why)
    app.add_typer(group, name="story")


def import_(
    context: typer.Context,
    locations: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH_OR_URL...", help="Saved pages, copied text, .json, WordPress exports (.xml, .zip), or addresses."
        ),
    ],
    draft: Annotated[bool, typer.Option("--draft", help="Only show what would be taken in.")] = False,
) -> int:
    """Take stories in from files or addresses; a bad one is named, the rest go on."""
    desk: Desk = context.obj

    def progress(done: int, total: int, imported: Imported) -> None:
        say(f"[{done}/{total}] {imported.words}", error=imported.failed or desk.as_json)

    results = import_stories(desk.house, desk.outbound, locations, actor=desk.actor, on_progress=progress, draft_only=draft)
    if not draft:
        render_stale(desk.house)
    if desk.as_json:
        desk.list(map(_imported, results), empty="")
    failed = sum(result.failed for result in results)
    if failed:
        say(f"{failed} of {len(results)} could not be taken in; the reasons are above", error=True)
    return 1 if failed else 0


def list_stories(context: typer.Context, limit: Annotated[int, typer.Option(min=1, max=1000)] = 50) -> None:
    """Show the newest stories."""
    desk: Desk = context.obj
    with desk.house.sessions() as session:
        newest = select(Story).options(joinedload(Story.current)).order_by(Story.id.desc()).limit(limit)
        stories = session.scalars(newest).all()
    desk.list(map(_record, stories), empty="there are no stories yet; take some in with `syndicator story import FILE`")


def show(context: typer.Context, story_id: str) -> None:
    """Show one story."""
    desk: Desk = context.obj
    with desk.house.sessions() as session:
        story = get_story(session, story_id)
        version = get_version(session, story.id, story.version_number)
    desk.show(_record(story, version) | {"summary": version.summary, "byline": version.byline, "body_html": version.body_html})


def correct(
    context: typer.Context,
    story_id: str,
    note: Annotated[str, typer.Option(help="What was wrong; readers see it.")],
    headline: Annotated[str | None, typer.Option()] = None,
    summary: Annotated[str | None, typer.Option()] = None,
    body: Annotated[Path | None, typer.Option(help="File with the corrected body, HTML.", exists=True, dir_okay=False)] = None,
) -> None:
    """Publish a corrected version."""
    desk: Desk = context.obj
    house = desk.house
    with house.sessions.begin() as session:
        published = correct_story(
            session,
            house,
            story_id,
            note=note,
            actor=desk.actor,
            at=house.clock(),
            headline=headline,
            summary=summary,
            body_html=body.read_text(encoding="utf-8") if body else None,
        )
    render_stale(house)
    words = f"version {published.story.version_number} is out; everyone who had the story is being told"
    desk.tell(words, _told(published.event) if published.event else {"version": published.story.version_number})


def kill(
    context: typer.Context, story_id: str, reason: Annotated[str, typer.Option(help="Told to everyone who had it.")]
) -> None:
    """Kill a story for good: its content must not be used."""
    _change(context.obj, kill_story, story_id, reason)


def takedown(
    context: typer.Context, story_id: str, reason: Annotated[str, typer.Option(help="Told to everyone who had it.")]
) -> None:
    """Take a story down, without fault."""
    _change(context.obj, take_down, story_id, reason)


def restore(
    context: typer.Context, story_id: str, reason: Annotated[str, typer.Option(help="Told to everyone who had it.")]
) -> None:
    """Bring back a story that was taken down. A killed one stays killed."""
    _change(context.obj, restore_story, story_id, reason)


def history(context: typer.Context, story_id: str) -> None:
    """Show every version of a story."""
    desk: Desk = context.obj
    with desk.house.sessions() as session:
        story = get_story(session, story_id)
        versions = session.scalars(
            select(StoryVersion).where(StoryVersion.story_id == story.id).order_by(StoryVersion.number)
        ).all()
    desk.list(
        [
            {
                "version": version.number,
                "at": version.created_at,
                "status": version.pubstatus.value,
                "headline": version.headline,
                "correction": version.correction_note,
            }
            for version in versions
        ],
        empty="this story has no version",
    )


def why(
    context: typer.Context, story_id: str, publisher: Annotated[str, typer.Option(help="Id, domain, e-mail address or name.")]
) -> None:
    """Say why a publisher may, or may not, have a story now, and what became of each push of it."""
    desk: Desk = context.obj
    house = desk.house
    with house.sessions() as session:
        found = explain(session, house, get_publisher(session, publisher), story_meant(session, story_id), at=house.clock())
        decision = found.decision
        desk.show(
            {
                "granted": decision.granted,
                "reason": decision.reason.value,
                "words": decision.detail or decision.reason.words,
                "feeds": [entry.feed for entry in found.feeds if entry.left_at is None],
                "taken_by": found.take.way.value if found.take else None,
                "pushes": [f"{way.subscription.public_id} ({way.subscription.channel.value}): {way.words}" for way in found.ways],
            }
        )


def _change(desk: Desk, change: Any, story_id: str, reason: str) -> None:
    house = desk.house
    if not reason.strip():
        raise InvalidRequest("say why", "reason")
    with house.sessions.begin() as session:
        event = change(session, house, story_id, reason=reason, actor=desk.actor, at=house.clock())
    render_stale(house)
    desk.tell(f"{event.type.value}: event {event.seq}; everyone who had the story is being told", _told(event))


def _imported(imported: Imported) -> dict[str, object]:
    return {
        "location": imported.location,
        "outcome": imported.outcome,
        "id": imported.public_id,
        "headline": imported.headline,
        "why": imported.why,
    }


def _told(event: Event) -> dict[str, object]:
    return {"seq": event.seq, "type": event.type.value, "story": event.story.uri, "version": event.version_number}


def _record(story: Story, version: StoryVersion | None = None) -> dict[str, object]:
    version = version or story.current
    return {
        "id": story.public_id,
        "uri": story.uri,
        "version": story.version_number,
        "status": story.pubstatus.value,
        "rights": story.rights.value,
        "published": story.published_at,
        "embargoed_until": story.embargoed_until if story.released_at is None else None,
        "section": version.section,
        "headline": version.headline,
    }
