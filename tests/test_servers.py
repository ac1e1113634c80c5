"""The servers that tests run on: none is skipped for want of a program, and none outlives its test run."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.servers import need

START_REDIS = "from tests.servers import Redis; redis = Redis(); print(redis.pid, redis.folder, flush=True); input()"


def test_a_missing_program_fails_with_what_to_install() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"need no-such-server: apt-get install its-package"):
        need("no-such-server", "its-package")


def test_a_killed_run_leaves_no_server_behind() -> None:
    command = [sys.executable, "-c", START_REDIS]
    run = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with run:
        assert run.stdout is not None
        pid, folder = run.stdout.readline().split()
        server = os.pidfd_open(int(pid))
        run.send_signal(signal.SIGKILL)
    ended, _, _ = select.select([server], [], [], 20)
    os.close(server)
    assert ended
    (Path(folder) / "log").unlink()
    Path(folder).rmdir()
