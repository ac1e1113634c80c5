"""Every setting, typed, frozen, read once from a TOML file and the environment.

The environment wins over the file (`SYNDICATOR_SECTION__KEY`, lists as JSON), the file over the defaults below. A wrong key or
value raises ConfigError that names the file and the field. `config.example.toml` is `example_toml()`, kept equal by a test.
Units are in the names. Relative paths are relative to the file's own folder.
"""

from __future__ import annotations

import os
import tomllib
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from syndicator import __version__
from syndicator.errors import ConfigError

ENV_PREFIX = "SYNDICATOR_"
Seconds = Annotated[float, Field(gt=0)]
SQLITE = "sqlite:///"
LANGUAGE = r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}$"
RATE = r"^[1-9][0-9]*/(second|minute|hour|day)$"


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Site(Section):
    """Who publishes, and where the service is reached."""

    name: str = Field("Daily Caller News Foundation", min_length=1, description="The newsroom, as readers see it.")
    base_url: str = Field(
        "http://127.0.0.1:8080",
        description="Where the world reaches this service; every link is made from it, never from a Host header.",
    )
    language: str = Field("en-US", pattern=LANGUAGE, description="Language of stories that do not say (BCP 47).")
    timezone: str = Field("America/New_York", description="Zone in which pages and letters show times (IANA name).")
    data_dir: Path = Field(Path("var"), description="All state lies under this folder: database, documents, keys, outbox.")
    feeds_dir: Path = Field(Path("feeds"), description="The feed catalogue: one TOML file per published feed.")
    static_dir: str = Field(
        "", description="Keeps a copy of the public feeds here that nginx serves as files (deploy/nginx.conf); empty: none."
    )
    uri_authority: str = Field(
        "", description="Host written into story URIs; fixed at the first story for ever. Empty: the host of base_url."
    )

    @field_validator("base_url")
    @classmethod
    def _an_origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if (
            parts.scheme not in {"http", "https"}
            or not parts.hostname
            or parts.query
            or parts.fragment
            or parts.path not in {"", "/"}
        ):
            raise ValueError("must be http:// or https:// and a host, without path, query or fragment")
        if parts.username is not None or any(mark.isspace() for mark in value) or parts.port == 0:  # a port out of range raises
            raise ValueError("must name a plain host and, at most, a port")
        return value.rstrip("/")

    @field_validator("timezone")
    @classmethod
    def _a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError) as error:
            raise ValueError(f"is no time zone this machine knows: {value!r}") from error
        return value

    @property
    def authority(self) -> str:
        """The host that stands in story URIs (RFC 4151 authority)."""
        return self.uri_authority or urlsplit(self.base_url).hostname or "localhost"


class Notice(Section):
    """The free-use text at the foot of every story that leaves. Versioned: change the version when the text changes."""

    version: str = Field("2026-01", pattern=r"^[A-Za-z0-9._-]{1,40}$", description="Name of this wording.")
    text: str = Field(
        "Content created by The Daily Caller News Foundation is available without charge to any eligible news publisher that can "
        "provide a large audience. For licensing opportunities of our original content, please contact "
        "licensing@dailycallernewsfoundation.org",
        min_length=20,
        description="The sentence itself, plain text; an address of contact_email inside it becomes a link in HTML.",
    )
    contact_email: str = Field(
        "licensing@dailycallernewsfoundation.org",
        pattern=r"^[^@\s]+@[^@\s]+$",
        description="Who answers licensing questions.",
    )


class License(Section):
    """The terms behind the notice, shown at /licenses/free-use/VERSION, an address that never changes its content."""

    version: str = Field("2026-01", pattern=r"^[A-Za-z0-9._-]{1,40}$", description="Name of these terms.")
    title: str = Field("Free-use license for eligible news publishers", description="Heading of the license page.")
    duties: tuple[str, ...] = Field(
        (
            "Keep the byline and the affiliation of the reporter.",
            "Keep the notice at the foot of the story, complete and unchanged.",
            "Link back to the original story.",
            "The headline may be changed; the body may be shortened, but its meaning may not be altered.",
            "Publish corrections within 24 hours, and remove a killed story at once.",
            "Do not sell, sublicense or distribute the story to others.",
            "Use pictures only where they are marked as cleared.",
        ),
        description="What a publisher owes in return, one sentence each.",
    )
    noindex: bool = Field(
        False, description="Copies that we write ask search engines to list only the original; say so in duties as well."
    )
    grace_days: int = Field(
        30, ge=0, description="A new version asks for acceptance within so many days; until then the one before still counts."
    )
    agreed_by: tuple[str, ...] = Field(
        (),
        description="The e-mail addresses of two of the licensing team who agreed to this version. Every version but the first "
        "needs them; both get a letter.",
    )


class Database(Section):
    """Where everything is stored."""

    url: str = Field(
        "",
        description="SQLAlchemy URL; empty: SQLite file syndicator.db in data_dir. PostgreSQL: postgresql+psycopg://…",
        pattern=r"^(sqlite:///.+|postgresql\+psycopg://.+)?$",
    )


class Server(Section):
    """The web server."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on.")
    workers: PositiveInt = Field(2, description="Web processes; about one per core.")
    trusted_proxies: int = Field(0, ge=0, le=5, description="How many proxies in front set X-Forwarded-*; 0: none is believed.")
    max_body_bytes: PositiveInt = Field(4_194_304, description="Largest request body taken; larger ones get 413.")
    metrics_networks: tuple[IPv4Network | IPv6Network, ...] = Field(
        (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")),
        description="CIDR networks that may read /metrics; for all others it is not there.",
    )


class Eligibility(Section):
    """Who may be approved. The policy is data; people decide."""

    minimum_monthly_audience: int = Field(100_000, ge=0, description="Monthly unique visitors that count as a large audience.")
    evidence_max_age_days: PositiveInt = Field(180, description="Audience figures older than this are asked for again.")
    term_days: PositiveInt = Field(365, description="How long an approval lasts unless the decision says otherwise.")
    require_verified_domain: bool = Field(True, description="Whether a publisher must prove that a site is its own.")
    required: tuple[
        Literal["email", "domain", "audience", "evidence", "about_page", "corrections_page", "contacts", "use", "no_resale"],
        ...,
    ] = Field(
        ("email", "domain", "audience", "evidence", "about_page", "corrections_page", "contacts", "use", "no_resale"),
        description="The items of the checklist.",
    )
    domain_recheck_days: PositiveInt = Field(7, description="How often the proof of a site is looked for again.")
    lost_proof_days: PositiveInt = Field(30, description="How long a proof that has gone missing still counts; people are told.")
    reminder_days: tuple[PositiveInt, ...] = Field((60, 14, 1), description="A letter goes so many days before an approval ends.")
    auto_approve: bool = Field(False, description="Whether a machine may approve an application whose every item passes.")


class Outbound(Section):
    """Rules for connecting to addresses that somebody else chose (callbacks, pulls, checks)."""

    allow_networks: tuple[IPv4Network | IPv6Network, ...] = Field(
        (),
        description='CIDR networks that may be reached although not public or our own, such as ["10.1.0.0/16"].',
    )
    allowed_ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = Field(
        (80, 443, 8080, 8443), description="Ports below 1024 that may be reached; higher ones always may."
    )
    connect_timeout_seconds: Seconds = Field(5.0, description="Time to connect, look-up included.")
    total_timeout_seconds: Seconds = Field(15.0, description="Time for a whole exchange, however slowly it drips.")
    max_answer_bytes: PositiveInt = Field(1_048_576, description="Most that is read of an answer to a push or check.")
    egress_proxy: str = Field("", description="HTTP proxy that all pushes go through; empty: none.")
    user_agent: str = Field("", description="How this service names itself; empty: Syndicator, its version and base_url.")


class Push(Section):
    """Deliveries to subscribers."""

    executor: Literal["local", "celery"] = Field("local", description="Who sends: the worker process itself, or Celery workers.")
    broker_url: str = Field("redis://127.0.0.1:6379/0", description='Celery\'s broker; used only with executor = "celery".')
    workers: PositiveInt = Field(1, description="Sending processes under `serve`; a second helps with thousands of subscribers.")
    concurrency: PositiveInt = Field(256, description="Deliveries in flight at once in one worker.")
    retry_schedule_seconds: tuple[NonNegativeInt, ...] = Field(
        (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400),
        min_length=1,
        description="Wait before each attempt, by chance up to a fifth or 12 s longer. After the last the delivery is given up.",
    )
    disable_after_days: PositiveInt = Field(5, description="A subscription with nothing but failure for so long is paused.")
    max_in_flight_per_host: PositiveInt = Field(4, description="Connections to one host at once.")
    conversations: PositiveInt = Field(16, description="Conversations (mail, SFTP, WordPress) at once, one with each server.")
    conversation_timeout_seconds: Seconds = Field(90.0, description="Time for one such conversation as a whole.")


class WebSub(Section):
    """The hub at /hub."""

    default_lease_seconds: PositiveInt = Field(864_000, description="Lease given when none is asked for.")
    min_lease_seconds: PositiveInt = Field(3_600, description="Shortest lease.")
    max_lease_seconds: PositiveInt = Field(2_592_000, description="Longest lease.")
    subscriptions_per_host: PositiveInt = Field(1_000, description="Subscriptions whose callbacks are on one host, at most.")

    @model_validator(mode="after")
    def _in_order(self) -> WebSub:
        if not self.min_lease_seconds <= self.default_lease_seconds <= self.max_lease_seconds:
            raise ValueError("min_lease_seconds, default_lease_seconds and max_lease_seconds must be in that order")
        return self


class Intake(Section):
    """Pulling stories from sources."""

    default_every_seconds: PositiveInt = Field(300, description="How often a source is asked unless it says otherwise.")
    max_document_bytes: PositiveInt = Field(52_428_800, description="Largest document taken from a source, unpacked.")
    max_story_bytes: PositiveInt = Field(2_000_000, description="Largest story taken.")
    parse_timeout_seconds: Seconds = Field(20.0, description="Time for parsing one document, in a process of its own.")
    superdesk_key: str = Field(
        "",
        pattern=r"^$|^\S{20,}$",
        description="Secret that Superdesk signs its HTTP Push with, 20 characters or more; empty: every push is refused.",
    )


class Mail(Section):
    """Letters."""

    url: str = Field(
        "file:",
        description="file: puts letters into data_dir/outbox; file:/path elsewhere; smtp://user:password@host:port sends.",
        pattern=r"^(file:.*|smtps?://.+)$",
    )
    sender: str = Field("Syndication <syndication@localhost>", alias="from", description="The From line.")
    unsubscribe_to: str = Field(
        "",
        pattern=r"^([^@\s,<>]+@[^@\s,<>]+)?$",
        description="Who takes requests to unsubscribe by letter; empty: From.",
    )
    dkim_key_file: str = Field(
        "",
        description="RSA private key (PEM) that signs letters (DKIM, RFC 6376), relative to data_dir; empty: none.",
    )
    dkim_selector: str = Field("", pattern=r"^[A-Za-z0-9._-]{0,63}$", description="The key in DNS: SELECTOR._domainkey.DOMAIN.")
    dkim_domain: str = Field("", pattern=r"^[A-Za-z0-9.-]{0,253}$", description="Domain that signs; empty: that of From.")

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @model_validator(mode="after")
    def _a_whole_key(self) -> Mail:
        if bool(self.dkim_key_file) != bool(self.dkim_selector):
            raise ValueError("dkim_key_file and dkim_selector belong together")
        return self

    @property
    def address(self) -> str:
        """The bare address of the From line."""
        return parseaddr(self.sender)[1]


class Crawlers(Section):
    """What machines that read the public pages are told."""

    search: bool = Field(True, description="Search engines may index.")
    ai_train: bool = Field(False, description="Models may be trained on the stories.")
    ai_input: bool = Field(False, description="Assistants may use the stories as input.")


class Limits(Section):
    """How much one client may ask."""

    enabled: bool = Field(True, description="Whether limits are kept at all.")
    requests_per_key: str = Field("600/minute", pattern=RATE, description="API requests of one key.")
    requests_per_address: str = Field(
        "120/minute", pattern=RATE, description="Requests of one address without a key; feeds are counted apart."
    )


class Security(Section):
    """Signing in."""

    session_hours: PositiveInt = Field(12, description="A session ends after so many hours.")
    require_totp: bool = Field(False, description="Staff must use a second factor.")


class Log(Section):
    """What is written to standard error."""

    format: Literal["json", "text"] = Field("text", description="One JSON object a line, or plain text.")
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is written.")


class Config(BaseSettings):
    """All settings of one running service."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=ENV_PREFIX, env_nested_delimiter="__")

    site: Site = Site()
    notice: Notice = Notice()
    license: License = License()
    database: Database = Database()
    server: Server = Server()
    eligibility: Eligibility = Eligibility()
    outbound: Outbound = Outbound()
    push: Push = Push()
    websub: WebSub = WebSub()
    intake: Intake = Intake()
    mail: Mail = Mail()
    crawlers: Crawlers = Crawlers()
    limits: Limits = Limits()
    security: Security = Security()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    @property
    def data_dir(self) -> Path:
        return self.site.data_dir

    @property
    def static_dir(self) -> Path | None:
        return Path(self.site.static_dir) if self.site.static_dir else None

    @property
    def database_url(self) -> str:
        return self.database.url or f"sqlite:///{self.data_dir / 'syndicator.db'}"

    @property
    def notice_texts(self) -> tuple[str, ...]:
        """The wording in force. Former ones lie in the store; publishing removes them too."""
        return (self.notice.text,)

    @property
    def user_agent(self) -> str:
        return self.outbound.user_agent or f"Syndicator/{__version__} (+{self.site.base_url})"

    @property
    def license_url(self) -> str:
        return self.license_url_of(self.license.version)

    def license_url_of(self, version: str) -> str:
        return f"{self.site.base_url}/licenses/free-use/{version}"


def load_config(path: Path | None = None) -> Config:
    """Read the settings from `path` (may be absent only when not asked for by name) and the environment."""
    named = path or (Path(os.environ["SYNDICATOR_CONFIG"]) if "SYNDICATOR_CONFIG" in os.environ else None)
    file = named or Path("config.toml")
    if not file.exists():
        if named:
            raise ConfigError(f"{file}: there is no such file; `syndicator init` writes one")
        return read_config({}, Path.cwd(), "environment")
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from error
    return read_config(values, file.resolve().parent, str(file))


def read_config(values: dict[str, Any], folder: Path, origin: str) -> Config:
    """Check `values` and make paths absolute against `folder`; `origin` names the file in errors."""
    _refuse_unknown_names()
    try:
        config = Config(**values)
    except ValidationError as error:
        lines = [_complaint(origin, e["loc"], e["msg"]) for e in error.errors()]
        raise ConfigError("\n".join(dict.fromkeys(lines))) from error
    except SettingsError as error:  # an environment value that is not JSON where a list is wanted
        cause = error.__cause__
        wrong = [name for name, value in _our_environment().items() if value == getattr(cause, "doc", None)]
        raise ConfigError(f"environment {' or '.join(wrong)}: {cause}; lists are written as JSON") from error
    return config.model_copy(update={"site": _site_in(folder, config.site), "database": _based_on(folder, config.database)})


def _site_in(folder: Path, site: Site) -> Site:
    static = str(folder / site.static_dir) if site.static_dir else ""
    return site.model_copy(
        update={"data_dir": folder / site.data_dir, "feeds_dir": folder / site.feeds_dir, "static_dir": static}
    )


def _based_on(folder: Path, database: Database) -> Database:
    file = database.url.removeprefix(SQLITE)
    return database if file == database.url else Database(url=f"{SQLITE}{folder / file}")


def _our_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.upper().startswith(ENV_PREFIX)}


def _refuse_unknown_names() -> None:
    """A misspelled section in the environment would be passed over in silence; a misspelled key in a known one is not."""
    for name in _our_environment():
        section, two_underscores, _ = name.lower().removeprefix(ENV_PREFIX.lower()).partition("__")
        if two_underscores and section not in Config.model_fields:
            raise ConfigError(f"environment {name}: there is no section {section!r}")


def _complaint(origin: str, place: tuple[int | str, ...], message: str) -> str:
    """Say where a wrong value came from (the environment wins over the file), which field it is, and why it is wrong."""
    parts = [str(part) for part in place if "[" not in str(part)]  # pydantic also names the branch of a union it tried
    variable = ENV_PREFIX + "__".join(parts[:2]).upper()
    if variable in {name.upper() for name in _our_environment()}:
        origin = f"environment {variable}"
    return f"{origin}: {'.'.join(parts)}: {message.removeprefix('Value error, ')}"


def example_toml() -> str:
    """Write every key with its meaning and default, as `config.example.toml` shows it."""
    import tomlkit

    document = tomlkit.document()
    document.add(
        tomlkit.comment("Settings of Syndicator. Every key is shown with its default; leave out what you do not change.")
    )
    document.add(tomlkit.comment("Each can also be set as SYNDICATOR_SECTION__KEY in the environment, lists as JSON."))
    for name, field in Config.model_fields.items():
        section: Section = field.default
        document.add(tomlkit.nl())
        document.add(tomlkit.comment((type(section).__doc__ or "").strip()))
        table = tomlkit.table()
        values = section.model_dump(mode="json", by_alias=True)
        for key, info in type(section).model_fields.items():
            shown = info.alias or key
            table.add(tomlkit.comment(info.description or ""))
            item = tomlkit.item(values[shown])
            if isinstance(item, tomlkit.items.Array) and any(isinstance(value, str) for value in values[shown]):
                item.multiline(True)
            table.add(shown, item)
        document.add(name, table)
    return tomlkit.dumps(document)
