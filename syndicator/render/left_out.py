"""What a story's copies do not hold: pictures without clearance, and embeds of others, which stand as plain links.

The notes are plain text, one line each. A picture's address is not among them: its caption and credit stand in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import unescape
from urllib.parse import urlsplit

from syndicator.domain.stories import Image, Rights

# Intake writes an embed, as it does a pasted address, as a paragraph that is nothing but a link to what it shows.
_ALONE = re.compile(r'<p><a href="([^"]{1,2048})"[^>]{0,200}>([^<]{1,2048})</a></p>')
_MOST = 20


def left_out(images: Iterable[Image], body_html: str) -> tuple[str, ...]:
    """Say what was left out of `body_html` and beside it, pictures first."""
    pictures = [_picture(image) for image in images if image.rights is not Rights.FREE]
    hosts = [host for host in map(_host, _ALONE.findall(body_html)) if host]
    embeds = [f"Content of {host} stands as a link." for host in dict.fromkeys(hosts)]
    return tuple(dict.fromkeys([*pictures, *embeds]))[:_MOST]


def _picture(image: Image) -> str:
    told = " ".join(image.caption.split())
    credit = " ".join(image.credit.split())
    named = f": {told}" if told else ""
    return f"A picture is left out, since its rights are not cleared{named}{f' (credit: {credit})' if credit else ''}"


def _host(link: tuple[str, str]) -> str:
    address, words = map(unescape, link)
    if address != words or not address.startswith(("https://", "http://")):
        return ""
    try:
        return (urlsplit(address).hostname or "").removeprefix("www.")
    except ValueError:
        return ""
