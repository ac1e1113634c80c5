"""The package as a whole: imports point one way, the clock has one reader, locks are complete, nothing names this machine."""

from __future__ import annotations

import ast
import fnmatch
import inspect
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from syndicator import errors
from syndicator.domain import tables
from syndicator.domain.base import Base
from syndicator.reasons import Reason
from tests.conftest import ROOT

PACKAGE = ROOT / "syndicator"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# Each part imports only from the rows above its own. A new module finds its row before it lands.
ROWS = [
    {"syndicator", "reasons", "clock"},
    {"errors"},
    {"bell", "config", "vault", "log", "process", "documents", "domain"},
    {"border", "static_copy"},
    {"catalogue", "outbound", "carriers", "access", "render", "signing"},
    {"intake", "channels", "storage", "proof"},
    {"house"},
    {"operations"},
    {"delivery", "jobs", "web"},
    {"sending", "doctor"},
    {"app"},
    {"serve"},
    {"demo", "cli", "__main__"},
]
ROW = {part: number for number, row in enumerate(ROWS) for part in row}
# Within and across rows, and why.
ALSO = {
    ("jobs", "delivery"),  # the post office is a job
    ("rsgi", "app"),  # the file that the web server loads
    ("cli", "demo"),
    ("jobs", "delivery"),  # the timetable rings for Celery's workers
    ("__main__", "cli"),
}
# What these parts may not know: a format is values in, bytes out; the nouns need no request, network or file of settings.
BLIND = {
    "domain": {"flask", "requests", "pycurl", "socket", "config", "catalogue", "vault"},
    "render": {"flask", "requests", "pycurl", "socket", "sqlalchemy", "config", "vault", "outbound", "access"},
    "intake": {"flask", "sqlalchemy", "storage", "channels", "access", "render"},
    "channels": {"flask", "storage", "intake", "access"},
    "operations": {"flask"},
}


def modules() -> list[Path]:
    return sorted(file for file in PACKAGE.rglob("*.py") if "versions" not in file.parts)


def part_of(file: Path) -> str:
    return "syndicator" if file == PACKAGE / "__init__.py" else file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of each import, also inside functions; those for type checkers only count too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "syndicator":
            yield from ((node.lineno, _below_package(alias.name)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: imports are absolute here"
            yield node.lineno, node.module or ""


def _below_package(name: str) -> str:
    is_module = (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()
    return f"syndicator.{name}" if is_module else "syndicator"


def own_imports(file: Path) -> Iterator[tuple[int, str]]:
    """Yield line and part for each import of our own."""
    for line, name in imports(file):
        first, _, rest = name.partition(".")
        if first == "syndicator":
            yield line, rest.partition(".")[0] or "syndicator"


def test_every_module_has_its_row() -> None:
    assert {part_of(file) for file in modules()} <= set(ROW)


def test_imports_point_one_way() -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{line}: {part_of(file)} must not import {part}"
        for file in modules()
        for line, part in own_imports(file)
        if part != part_of(file) and ROW[part] >= ROW[part_of(file)] and not {(part_of(file), part), (file.stem, part)} & ALSO
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("part", BLIND)
def test_pure_parts_know_nothing_of_the_edges(part: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{line}: {part} must not know {name}"
        for file in modules()
        if part_of(file) == part
        for line, name in imports(file)
        if BLIND[part] & {name.partition(".")[0], name.removeprefix("syndicator.").partition(".")[0]}
    ]
    assert not wrong, "\n".join(wrong)


# What a worker does seldom or never; it loads these when it does.
SELDOM = {"alembic", "asyncssh", "celery", "feedparser", "flask", "jinja2", "paramiko", "requests", "rich", "smtplib", "werkzeug"}
WORKER = """
import sys
import syndicator.cli.service, syndicator.sending
from sqlalchemy.orm import configure_mappers
from syndicator.domain.base import Base

print(*sys.modules)
configure_mappers()
for table in Base.metadata.tables.values():
    for key in table.foreign_key_constraints:
        key.referred_table
"""


def test_a_worker_loads_what_it_sends_with_and_tables_that_lead_nowhere_else() -> None:
    worker = subprocess.run([sys.executable, "-c", WORKER], capture_output=True, text=True, check=False)
    assert (worker.returncode, worker.stderr) == (0, "")
    assert not SELDOM & set(worker.stdout.split())


def test_a_noun_brings_along_whatever_it_points_at() -> None:
    """Else a row could be written only where something else had loaded the class that it belongs to."""
    homes = {mapper.local_table: mapper.class_.__module__ for mapper in Base.registry.mappers}
    leads_to = {
        home: {home} | {name for _, name in imports(PACKAGE / f"{home.partition('.')[2].replace('.', '/')}.py")}
        for home in homes.values()
    }
    for _ in homes:  # and to where these lead
        leads_to = {home: seen.union(*(leads_to.get(name, ()) for name in seen)) for home, seen in leads_to.items()}
    lost = [
        f"{home}: {key.target_fullname}"
        for table, home in homes.items()
        for key in table.foreign_keys
        if homes[key.column.table] not in leads_to[home]
    ]
    assert not lost


def test_every_mapped_class_is_among_the_tables() -> None:
    mapped = {file.stem for file in (PACKAGE / "domain").glob("*.py") if "(Base):" in file.read_text(encoding="utf-8")}
    assert mapped <= {*vars(tables), "base"}


def test_only_the_clock_reads_the_wall_clock() -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for file in modules()
        if file != PACKAGE / "clock.py"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and re.fullmatch(
            r"(datetime\.)?(datetime|date)\.(now|utcnow|today)|time\.(time|time_ns|localtime|gmtime)", ast.unparse(node)
        )
    ]
    assert not wrong, "\n".join(wrong)


def test_every_file_says_first_what_belongs_in_it() -> None:
    silent = [
        str(file.relative_to(ROOT))
        for file in modules()
        if (tree := ast.parse(file.read_text(encoding="utf-8"))).body and not ast.get_docstring(tree)
    ]
    assert not silent


def family() -> list[type[errors.SyndicatorError]]:
    return [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.SyndicatorError)]


@pytest.mark.parametrize("kind", family())
def test_every_error_carries_a_stable_reason_and_stands_in_the_tree(kind: type[errors.SyndicatorError]) -> None:
    assert isinstance(kind.reason, Reason)
    assert re.search(rf"\b{kind.__name__}\b", errors.__doc__ or "")


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words_for_people(reason: Reason) -> None:
    assert reason.words.endswith(".")


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_locks_pin_everything_with_hashes_and_name_no_host(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*--(?!hash=sha256:[0-9a-f]{64}\b)", text, re.MULTILINE)
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    loose = [block.splitlines()[0] for block in blocks if "==" not in block or "--hash=" not in block]
    assert blocks
    assert not loose


@pytest.mark.parametrize(("name", "groups"), [("requirements.lock", ["build"]), ("requirements-dev.lock", ["build", "dev"])])
def test_locks_hold_what_the_project_asks_for(name: str, groups: list[str]) -> None:
    pinned: dict[str, set[str]] = {}
    for found in re.finditer(r"^([A-Za-z0-9._-]+)==([^\s;]+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE):
        pinned.setdefault(found[1].lower(), set()).add(found[2])
    asked = [*PYPROJECT["project"]["dependencies"], *(line for group in groups for line in PYPROJECT["dependency-groups"][group])]
    for requirement in map(Requirement, asked):
        versions = pinned.get(requirement.name.lower(), set())
        assert versions, f"{requirement.name} is not locked; run make lock"
        assert all(requirement.specifier.contains(version) for version in versions), f"{requirement}: run make lock"


def test_every_file_of_the_package_is_installed_with_it() -> None:
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["syndicator"]
    left_out = [
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*")
        if file.is_file()
        and file.suffix not in {".py", ".pyc"}
        and not any(fnmatch.fnmatch(str(file.relative_to(PACKAGE)), pattern.replace("**/", "*")) for pattern in patterns)
    ]
    assert not left_out


# One letter of each stands in brackets, so that this file does not name them either.
MACHINE = re.compile(
    r"(?<![\w.])/(work|root)/"
    r"|--(extra-)?[i]ndex-url|--find-[l]inks"
    r"|[p]ypi\.org|[p]ythonhosted\.org|registry\.[n]pmjs\.org|deb\.[d]ebian\.org|proxy\.[g]olang\.org"
)


def test_nothing_tracked_names_a_machine_or_a_registry() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    found = []
    for name in filter(None, tracked):
        file = ROOT / name
        if not file.is_file():
            continue  # removed, and not yet committed so
        for number, line in enumerate(file.read_bytes().decode("utf-8", "replace").splitlines(), 1):
            if MACHINE.search(line):
                found.append(f"{name}:{number}: {line.strip()[:120]}")
    assert not found, "\n".join(found)
