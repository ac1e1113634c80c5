"""The WSGI target: `syndicator.web.wsgi:application`, for granian and any other WSGI server.

The settings come from the file named by SYNDICATOR_CONFIG and the environment, as `syndicator web` leaves them for its workers.
"""

from __future__ import annotations

import os

from syndicator import log
from syndicator.app import create_app
from syndicator.config import load_config
from syndicator.documents import public_folder
from syndicator.process import WEB_PARENT, end_with_parent
from syndicator.web.byte_layer import ByteLayer
from syndicator.web.slow_clients import SlowClientGuard

BODY_SLOTS = 8  # of the threads that `serve` gives a worker; the others are for those who send no body


def make_application() -> ByteLayer:
    """Read the settings and build the application, with the byte layer in front."""
    if WEB_PARENT in os.environ:
        end_with_parent(int(os.environ[WEB_PARENT]))
    config = load_config()
    log.configure(config.log.format, config.log.level)
    app = create_app(config)
    guarded = SlowClientGuard(app.wsgi_app, slots=BODY_SLOTS, max_body_bytes=config.server.max_body_bytes)
    layer = ByteLayer(guarded, public_folder(config.data_dir))
    app.extensions["byte_layer"] = layer  # where /metrics finds the polls
    return layer


application = make_application()
