"""Pictures that an editing system pushed beside its stories: kept, and given out to whoever may have a story that shows them."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session, joinedload, undefer

from syndicator.access import ANYBODY, Purpose, Viewer, decide
from syndicator.domain.base import new_id
from syndicator.domain.pushes import PictureUse, PushedPicture
from syndicator.domain.stories import Rights, Story
from syndicator.errors import Conflict, InvalidRequest, NotFound
from syndicator.house import House
from syndicator.storage.queries import get_version, insert_new, insert_once

LONGEST_NAME = 200
KEPT_UNUSED = timedelta(days=7)  # no story showed it cleared; the pusher asks, and sends it again
_STARTS = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def keep_picture(session: Session, media_id: str, content: bytes, *, at: datetime) -> bool:
    """Keep what is called `media_id`, and say whether it was new. Raises InvalidRequest for what is no picture that browsers
    show as nothing else, Conflict for another one of the same name."""
    if not 0 < len(media_id) <= LONGEST_NAME:
        raise InvalidRequest(f"is a name of 1 to {LONGEST_NAME} characters", "media_id")
    digest = hashlib.sha256(content).hexdigest()
    facts = {"public_id": new_id("pic_"), "media_type": _media_type(content), "digest": digest, "content": content, "at": at}
    if insert_new(session, PushedPicture, {"media_id": media_id, **facts}):
        return True
    known = find_picture(session, media_id)
    if known is None or known.digest != digest:
        raise Conflict("another picture is known by this name")
    return False


def _media_type(content: bytes) -> str:
    """Judge by the content, never by what it is said to be: SVG, PDF and HTML are documents that can act."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    for start, media_type in _STARTS:
        if content.startswith(start):
            return media_type
    raise InvalidRequest("must be a JPEG, PNG, GIF or WebP picture", "media")


def find_picture(session: Session, media_id: str) -> PushedPicture | None:
    return session.scalars(select(PushedPicture).where(PushedPicture.media_id == media_id)).one_or_none()


def address_of(house: House, picture: PushedPicture) -> str:
    return f"{house.config.site.base_url}/pictures/{picture.public_id}"


def note_uses(session: Session, house: House, story: Story) -> None:
    """Write down which pushed pictures the story's present version shows as cleared."""
    prefix = address_of(house, PushedPicture(public_id=""))
    version = get_version(session, story.id, story.version_number)
    shown = [image["url"].removeprefix(prefix) for image in version.images if _shows(image, prefix)]
    for picture_id in session.scalars(select(PushedPicture.id).where(PushedPicture.public_id.in_(shown))):
        insert_once(session, PictureUse, [{"picture_id": picture_id, "story_id": story.id}])


def get_picture(session: Session, house: House, viewer: Viewer, public_id: str, *, at: datetime) -> tuple[PushedPicture, bool]:
    """Return a picture that `viewer` may have with a story which shows it now, and whether anybody may. Raises NotFound."""
    wanted = select(PushedPicture).where(PushedPicture.public_id == public_id).options(undefer(PushedPicture.content))
    picture = session.scalars(wanted).one_or_none()
    if picture is not None:
        used = select(Story).join(PictureUse, PictureUse.story_id == Story.id).where(PictureUse.picture_id == picture.id)
        address = address_of(house, picture)
        stories = session.scalars(used.options(joinedload(Story.current)).limit(50)).all()
        stories = [story for story in stories if any(_shows(image, address) for image in story.current.images)]
        public = any(decide(ANYBODY, story, Purpose.READ, at).granted for story in stories)
        if public or any(decide(viewer, story, Purpose.TAKE, at).granted for story in stories):
            return picture, public
    raise NotFound("there is no such picture")


def forget_pictures(session: Session, *, at: datetime) -> int:
    """Delete pictures that no story has shown as cleared; returns how many."""
    unused = ~select(PictureUse.story_id).where(PictureUse.picture_id == PushedPicture.id).exists()
    old = delete(PushedPicture).where(PushedPicture.at < at - KEPT_UNUSED, unused).returning(PushedPicture.id)
    return len(session.scalars(old, execution_options={"synchronize_session": False}).all())


def _shows(image: dict[str, str], address: str) -> bool:
    return image["url"].startswith(address) and image["rights"] == Rights.FREE.value
