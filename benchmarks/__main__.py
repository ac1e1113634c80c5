"""`make bench`: runs every benchmark of this package, one after the other, and prints each figure beside its floor and goal.

`python -m benchmarks [--quick] [NAME...]`, in the project's folder. One that cannot run here says why and is counted.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil

import benchmarks
from benchmarks.figure import Unmeasurable, lines


def names() -> list[str]:
    """The modules that measure something, in alphabetical order."""
    found = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name != "__main__"]
    return [name for name in found if hasattr(importlib.import_module(f"benchmarks.{name}"), "measure")]


def main() -> None:
    known = names()
    asked = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    asked.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; none: all")
    asked.add_argument("--quick", action="store_true", help="fewer and shorter rounds: shows that it works, measures little")
    wanted = asked.parse_args()
    if unknown := set(wanted.names) - set(known):
        asked.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    verdicts: list[str] = []
    for name in wanted.names or known:
        print(f"── {name}", flush=True)
        try:
            figures = importlib.import_module(f"benchmarks.{name}").measure(wanted.quick)
        except Unmeasurable as error:
            print(f"    not measured: {error}", flush=True)
            verdicts.append("not measured")
            continue
        for figure in figures:
            print("\n".join(lines(figure)), flush=True)
            verdicts.append(figure.verdict)
    print("── " + ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in sorted(set(verdicts))))


if __name__ == "__main__":
    main()
