"""Signs of life: a dead worker is known at once, a living one is left alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from syndicator.delivery.living import Living

WORKER = """
import pathlib, sys, time
from syndicator.delivery.living import Living
living = Living(pathlib.Path(sys.argv[1]), "other")
print("living", flush=True)
time.sleep(60)
"""


def test_a_killed_worker_is_found_dead_once_and_a_living_one_is_not(tmp_path: Path) -> None:
    us = Living(tmp_path, "us")
    with subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with us.dead() as names:
            assert names == []
        other.kill()
    with us.dead() as names:
        assert names == ["other"]
    with us.dead() as names:
        assert names == []
    us.close()


def test_the_dead_are_not_forgotten_when_their_claims_could_not_be_brought_back(tmp_path: Path) -> None:
    gone = Living(tmp_path, "gone")
    gone._handle.close()  # as the kernel does for a process that died
    us = Living(tmp_path, "us")
    with pytest.raises(OSError, match="database away"), us.dead():
        raise OSError("database away")
    with us.dead() as names:
        assert names == ["gone"]
    us.close()
