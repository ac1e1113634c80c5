"""The demo: the real service on a database of its own, and everything it promises, watched from outside.

`stage.py` puts up the service, a partner's receiver and the reading of answers; `play.py` has the steps, each with its proof.
"""

from syndicator.demo.play import run_demo

__all__ = ["run_demo"]
