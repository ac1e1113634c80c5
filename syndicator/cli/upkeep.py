"""Commands that set up and examine the service, copy its database and look at its timetable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import select

from syndicator import doctor as examination
from syndicator.cli.desk import Desk, say
from syndicator.cli.users import add_with_link
from syndicator.config import example_toml
from syndicator.domain.accounts import StaffRole
from syndicator.domain.jobs import JobRun
from syndicator.jobs import JOBS, get_job, run_job
from syndicator.operations.accounts import staff_users
from syndicator.operations.render_feeds import render_stale
from syndicator.storage import backup as copies
from syndicator.storage.schema import upgrade


def register(app: typer.Typer) -> None:
    for command in (init, doctor):
        app.command()(command)
    database = typer.Typer(help="The database: upgrade, copies, integrity.", no_args_is_help=True)
    database.command("upgrade")(db_upgrade)
    database.command("backup")(db_backup)
    database.command("restore")(db_restore)
    database.command("check")(db_check)
    app.add_typer(database, name="db")
    jobs = typer.Typer(help="The timetable.", no_args_is_help=True)
    jobs.command("list")(job_list)
    jobs.command("run")(job_run)
    app.add_typer(jobs, name="job")


def init(
    context: typer.Context,
    email: Annotated[str, typer.Option(help="Of the first administrator; admin at the site's host unless given.")] = "",
) -> None:
    """Write config.toml, create the database, the keys and the first administrator, whose link to sign in is printed once."""
    desk: Desk = context.obj
    path = desk.config_path or Path("config.toml")
    if path.exists():
        say(f"{path} is there already and stays as it is")
    else:
        path.write_text(example_toml(), encoding="utf-8")
        say(f"{path} written; look it through, site.base_url first")
    desk.config_path = path
    render_stale(desk.house)
    say(f"database and keys are in {desk.config.data_dir}")
    with desk.house.sessions.begin() as session:
        if not staff_users(session):
            address = email or f"admin@{desk.config.site.authority}"
            first = add_with_link(desk, session, email=address, role=StaffRole.ADMIN, name="")
            say(f"{first['email']} is the first administrator; this link signs in once, within {first['link_holds']}:")
            say(str(first["link"]))
            say(f"later: `syndicator user reset {first['email']}` prints another")
    say("next: `syndicator serve`, then `syndicator source add wordpress https://…` or `syndicator story import FILE`")


def doctor(context: typer.Context) -> int:
    """Check settings, database, clock, mail, outbound, disk and timetable; one line each."""
    desk: Desk = context.obj
    findings = examination.examine(desk.house)
    desk.list([{"check": f.name, "ok": "ok" if f.ok else "WRONG", "words": f.words} for f in findings], empty="nothing to check")
    return 0 if all(finding.ok for finding in findings) else 1


def db_upgrade(context: typer.Context) -> None:
    """Bring the schema to this version."""
    desk: Desk = context.obj
    upgrade(desk.engine)
    say("the database has the schema of this version")


def db_backup(context: typer.Context, file: Path) -> None:
    """Copy database, keys and catalogue into FILE while the service runs."""
    desk: Desk = context.obj
    copies.backup(desk.engine, desk.config, file)
    say(f"{file} written; it holds keys, so keep it as safe as the database")


def db_restore(context: typer.Context, file: Path) -> None:
    """Bring back what `db backup` wrote. Refuses where something would be overwritten."""
    desk: Desk = context.obj
    copies.restore(desk.engine, desk.config, file)
    say(f"{file} restored; start the service and run `syndicator doctor`")


def db_check(context: typer.Context) -> int:
    """Look for damage."""
    desk: Desk = context.obj
    faults = copies.check(desk.house.engine)
    for fault in faults:
        say(fault, error=True)
    if not faults:
        say("no fault found")
    return 1 if faults else 0


def job_list(context: typer.Context) -> None:
    """Show each job, how often it runs and how it last went."""
    desk: Desk = context.obj
    with desk.house.sessions() as session:
        runs = {run.job: run for run in session.scalars(select(JobRun))}
    desk.list(
        [
            {
                "job": job.name,
                "every_seconds": job.every_seconds,
                "last_started": runs[job.name].started_at if job.name in runs else None,
                "outcome": runs[job.name].outcome if job.name in runs and runs[job.name].started_at else "has not run yet",
            }
            for job in JOBS
        ],
        empty="there are no jobs",
    )


def job_run(context: typer.Context, name: str) -> None:
    """Run the job NAME now."""
    desk: Desk = context.obj
    say(run_job(get_job(name), desk.house, desk.outbound) or "nothing to do")
