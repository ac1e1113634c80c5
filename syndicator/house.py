"""The house: what every edge (web, jobs, command line, sender) is handed instead of globals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from sqlalchemy import Engine, event
from sqlalchemy.orm import Session, sessionmaker

from syndicator.bell import ring_if_asked
from syndicator.catalogue import Catalogue, read_catalogue
from syndicator.clock import Clock, utc_now
from syndicator.config import Config
from syndicator.render.entry import MachineUse, Terms
from syndicator.storage.engine import open_engine, open_sessions
from syndicator.vault import Vault, open_vault


@dataclass(frozen=True, slots=True)
class House:
    """Settings, catalogue, database, secrets and the time. Frozen: one per process."""

    config: Config
    catalogue: Catalogue
    engine: Engine
    sessions: sessionmaker[Session]
    vault: Vault
    clock: Clock

    @property
    def terms(self) -> Terms:
        return terms_of(self.config)


def open_house(config: Config, clock: Clock = utc_now) -> House:
    """Read the catalogue and open the database and the vault; raises ConfigError for what is wrong with them."""
    engine = open_engine(config.database_url)
    sessions = open_sessions(engine)
    event.listen(sessions, "after_commit", partial(ring_if_asked, folder=config.data_dir / "locks"))
    return House(
        config=config,
        catalogue=read_catalogue(config.site.feeds_dir),
        engine=engine,
        sessions=sessions,
        vault=open_vault(config.data_dir),
        clock=clock,
    )


def terms_of(config: Config) -> Terms:
    """What stands beside every story that leaves under these settings."""
    return Terms(
        newsroom=config.site.name,
        base_url=config.site.base_url,
        notice_version=config.notice.version,
        notice_text=config.notice.text,
        contact_email=config.notice.contact_email,
        license_version=config.license.version,
        license_title=config.license.title,
        license_url=config.license_url,
        apply_url=f"{config.site.base_url}/apply",
        noindex=config.license.noindex,
        machine_use=MachineUse(**config.crawlers.model_dump()),
    )
