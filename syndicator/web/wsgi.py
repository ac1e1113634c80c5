"""The WSGI target: `syndicator.web.wsgi:application`, for granian and any other WSGI server.

The settings come from the file named by SYNDICATOR_CONFIG and the environment, as `syndicator web` leaves them for its workers.
"""

from __future__ import annotations

import os

from syndicator import log
from syndicator.app import create_app
from syndicator.clock import utc_now
from syndicator.config import Config, load_config
from syndicator.documents import public_folder
from syndicator.house import House
from syndicator.process import WEB_PARENT, end_with_parent
from syndicator.web.byte_layer import ByteLayer
from syndicator.web.load import LoadShedder
from syndicator.web.meter import Meter, read_rate
from syndicator.web.poll_limits import PollLimits
from syndicator.web.polls import PollBook
from syndicator.web.slow_clients import SlowClientGuard

# Of the threads that `serve` gives a worker: some receive bodies, some work, some wait, and always some are left for polls.
BODY_SLOTS = 3
RUNNING, WAITING, WAITING_SECONDS = 5, 3, 2.0


def make_application() -> ByteLayer:
    """Read the settings and build the application, with the byte layer in front."""
    if WEB_PARENT in os.environ:
        end_with_parent(int(os.environ[WEB_PARENT]))
    config = load_config()
    log.configure(config.log.format, config.log.level)
    app = create_app(config)
    shedder = LoadShedder(app.wsgi_app, running=RUNNING, waiting=WAITING, seconds=WAITING_SECONDS)
    server = config.server
    guarded = SlowClientGuard(
        shedder, slots=BODY_SLOTS, max_body_bytes=server.max_body_bytes, trusted_proxies=server.trusted_proxies
    )
    book: PollBook = app.extensions["polls"]
    book.keep_writing()
    house: House = app.extensions["house"]
    public = frozenset(feed.name for feed in house.catalogue if feed.public)
    return ByteLayer(guarded, public_folder(config.data_dir), poll_limits(config), book.public, public)


def poll_limits(config: Config) -> PollLimits | None:
    """Return the limits that the settings ask for; the web processes of a machine count together."""
    if not config.limits.enabled:
        return None
    meter, rate = Meter(config.data_dir / "polls.meter"), read_rate(config.limits.requests_per_address)
    return PollLimits(meter, rate, trusted_proxies=config.server.trusted_proxies, clock=utc_now)


application = make_application()
