"""Settings: the example shows the defaults, the environment wins, and a wrong setting says where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from syndicator.config import Config, Section, example_toml, load_config, read_config
from syndicator.errors import ConfigError
from tests.conftest import ROOT

FIELDS = [
    (section, info.alias or key)
    for section, field in Config.model_fields.items()
    for key, info in type(field.default).model_fields.items()
]
WHOLE_NUMBERS = [
    (section, key)
    for section, field in Config.model_fields.items()
    for key, info in type(field.default).model_fields.items()
    if info.annotation is int
]


def written(folder: Path, text: str) -> Path:
    file = folder / "config.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_example_shows_every_key_with_its_default() -> None:
    example = ROOT / "config.example.toml"
    assert example.read_text(encoding="utf-8") == example_toml(), "write it anew: make config.example.toml"
    assert load_config(example) == read_config({}, ROOT, "defaults")


def test_every_key_and_section_says_what_it_means() -> None:
    for field in Config.model_fields.values():
        section = type(field.default)
        assert issubclass(section, Section)
        assert section.__doc__
        assert all(info.description for info in section.model_fields.values()), section


@pytest.mark.parametrize(("section", "key"), FIELDS)
def test_a_wrong_value_names_file_and_field(section: str, key: str, tmp_path: Path) -> None:
    file = written(tmp_path, f"[{section}.{key}]\nno = 'table belongs here'\n")
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert all(line.startswith(f"{file}: {section}.{key}") for line in str(caught.value).splitlines())


@pytest.mark.parametrize(("section", "key"), WHOLE_NUMBERS)
def test_a_wrong_value_in_the_environment_names_variable_and_field(
    section: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = f"SYNDICATOR_{section}__{key}".upper()
    monkeypatch.setenv(variable, "many")
    with pytest.raises(ConfigError, match=f"^environment {variable}: {section}\\.{key}: "):
        read_config({}, tmp_path, "config.toml")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[server]\nprot = 1", r"server\.prot: "),
        ("[servre]\nport = 1", r"servre: "),
        ("port = 1", r"port: "),
        ("[server", "not valid TOML: "),
        ("[site]\ntimezone = 'Mars/Olympus'", r"site\.timezone: .*'Mars/Olympus'"),
        ("[site]\nbase_url = 'ftp://wire.example'", r"site\.base_url: must be http"),
        ("[site]\nbase_url = 'https://wire.example/path'", r"site\.base_url: must be http"),
        ("[site]\nbase_url = 'https://user:word@wire.example'", r"site\.base_url: must name a plain host"),
        ("[site]\nbase_url = 'https://wire.example:99999'", r"site\.base_url: Port out of range"),
        ("[outbound]\nallow_networks = ['10.0.0.1/8']", r"outbound\.allow_networks\.0: "),
        ("[outbound]\nallowed_ports = [0]", r"outbound\.allowed_ports\.0: "),
        ("[push]\nretry_schedule_seconds = [0, -5]", r"push\.retry_schedule_seconds\.1: "),
        ("[websub]\nmin_lease_seconds = 9\nmax_lease_seconds = 8", r"websub: min_lease_seconds"),
        ("[limits]\nrequests_per_key = 'lots'", r"limits\.requests_per_key: "),
        ("[mail]\nurl = 'gopher:hole'", r"mail\.url: "),
        ("[database]\nurl = 'mysql://db'", r"database\.url: "),
    ],
)
def test_a_value_that_cannot_work_stops_start_up(text: str, complaint: str, tmp_path: Path) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ConfigError, match=complaint) as caught:
        load_config(file)
    assert str(caught.value).startswith(f"{file}: ")


def test_a_complaint_never_shows_a_password(tmp_path: Path) -> None:
    for text in ("[database]\nurl = 'mysql://u:hunter2@db'", "[mail]\nurl = 'imap://u:hunter2@mail'"):
        with pytest.raises(ConfigError) as caught:
            load_config(written(tmp_path, text))
        assert "hunter2" not in str(caught.value)


def test_the_environment_wins_over_the_file_and_lists_are_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNDICATOR_SERVER__PORT", "9000")
    monkeypatch.setenv("SYNDICATOR_OUTBOUND__ALLOWED_PORTS", "[443]")
    config = load_config(written(tmp_path, "[server]\nport = 8000\nhost = '0.0.0.0'\n"))
    assert (config.server.port, config.server.host, config.outbound.allowed_ports) == (9000, "0.0.0.0", (443,))


def test_a_list_that_is_not_json_names_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNDICATOR_OUTBOUND__ALLOWED_PORTS", "80,443")
    with pytest.raises(ConfigError, match=r"^environment SYNDICATOR_OUTBOUND__ALLOWED_PORTS: .*JSON"):
        read_config({}, tmp_path, "config.toml")


def test_a_misspelled_section_in_the_environment_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNDICATOR_SERVRE__PORT", "9000")
    with pytest.raises(ConfigError, match=r"^environment SYNDICATOR_SERVRE__PORT: there is no section 'servre'"):
        read_config({}, tmp_path, "config.toml")


def test_a_file_asked_for_by_name_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "missing.toml"
    with pytest.raises(ConfigError, match=r"missing\.toml: there is no such file"):
        load_config(missing)
    monkeypatch.setenv("SYNDICATOR_CONFIG", str(missing))
    with pytest.raises(ConfigError, match=r"missing\.toml: there is no such file"):
        load_config()


def test_relative_folders_belong_to_the_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, "[site]\ndata_dir = 'state'\n")
    monkeypatch.chdir("/")
    config = load_config(file)
    assert config.data_dir == tmp_path / "state"
    assert config.database_url == f"sqlite:///{tmp_path / 'state' / 'syndicator.db'}"
    assert config.site.feeds_dir == tmp_path / "feeds"
    relative = load_config(written(tmp_path, "[database]\nurl = 'sqlite:///news.db'\n"))
    assert relative.database_url == f"sqlite:///{tmp_path / 'news.db'}"
    absolute = load_config(written(tmp_path, "[database]\nurl = 'sqlite:////srv/news.db'\n"))
    assert absolute.database_url == "sqlite:////srv/news.db"
