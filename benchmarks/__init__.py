"""Benchmarks: what the README claims about speed, runnable. `benchmarks.figure` says how they are written."""
