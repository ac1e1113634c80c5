"""What a benchmark finds: one figure beside its floor and its goal, and what was measured with it in the same interleaved run.

A module of this package is a benchmark when it has `measure(quick: bool) -> list[Figure]`. Machines are noisy and shared, so
figures are ratios within one run; plain rates stand beside them only to say what the ratio is made of.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field


class Unmeasurable(Exception):
    """What the benchmark needs is not on this machine; the words say what. Nothing is estimated in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One result. `beside` names what else was measured, already written out, in the order to show it."""

    goal_id: str  # of the table of goals, such as P1
    what: str
    value: float
    unit: str  # such as "× nginx", "ms", "MiB"
    floor: float
    goal: float
    more_is_better: bool = True
    beside: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        if self._reaches(self.goal):
            return "goal met"
        return "floor met" if self._reaches(self.floor) else "BELOW THE FLOOR"

    def _reaches(self, mark: float) -> bool:
        return self.value >= mark if self.more_is_better else self.value <= mark


def need(*programs: str) -> None:
    """Raise Unmeasurable unless every one of `programs` is installed."""
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        raise Unmeasurable(f"needs {' and '.join(missing)}, which this machine does not have")


def lines(figure: Figure) -> list[str]:
    """Write `figure` as one line, and a second with what was measured beside it."""
    sign = "≥" if figure.more_is_better else "≤"
    first = (
        f"{figure.goal_id:4}{figure.what:46}{_short(figure.value):>9} {figure.unit:14}"
        f"floor {sign} {_short(figure.floor):6}goal {sign} {_short(figure.goal):6}{figure.verdict}"
    )
    beside = "; ".join(f"{name} {said}" for name, said in figure.beside.items())
    return [first, *([f"    {beside}"] if beside else [])]


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
