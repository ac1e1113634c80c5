"""The target of the web server: `syndicator.web.rsgi:application`.

The settings come from the file named by SYNDICATOR_CONFIG and the environment, as `syndicator web` leaves them for its workers.
"""

from __future__ import annotations

import gc
import os

from syndicator import log
from syndicator.app import create_app
from syndicator.clock import utc_now
from syndicator.config import Config, load_config
from syndicator.documents import public_folder
from syndicator.house import House
from syndicator.process import WEB_PARENT, end_with_parent
from syndicator.web.byte_layer import ByteLayer
from syndicator.web.front import Front
from syndicator.web.load import Room
from syndicator.web.meter import Meter, read_rate
from syndicator.web.poll_limits import PollLimits
from syndicator.web.polls import PollBook
from syndicator.web.reception import Reception


def make_application() -> Front:
    """Read the settings and build the application, with the front before it."""
    if WEB_PARENT in os.environ:
        end_with_parent(int(os.environ[WEB_PARENT]))
    config = load_config()
    log.configure(config.log.format, config.log.level)
    app = create_app(config)
    book: PollBook = app.extensions["polls"]
    book.keep_writing()
    house: House = app.extensions["house"]
    public = frozenset(feed.name for feed in house.catalogue if feed.public)
    layer = ByteLayer(public_folder(config.data_dir), poll_limits(config), book.public, public)
    gc.freeze()  # what is loaded stays; to look through it again held polls up for a tenth of a second, now and then
    return Front(app.wsgi_app, layer, Room(), Reception(config.server.max_body_bytes), config.server.trusted_proxies)


def poll_limits(config: Config) -> PollLimits | None:
    """Return the limits that the settings ask for; the web processes of a machine count together."""
    if not config.limits.enabled:
        return None
    return PollLimits(Meter(config.data_dir / "polls.meter"), read_rate(config.limits.requests_per_address), clock=utc_now)


application = make_application()
