"""Handing out files that somebody else gave us: always a download, never shown in our own pages' place."""

from __future__ import annotations

from flask import Response


def as_download(content: bytes, media_type: str, name: str) -> Response:
    """Answer with `content` as a file to be saved. `name` must be plain ASCII; nothing in the file can run on our origin."""
    response = Response(content, content_type=media_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response
