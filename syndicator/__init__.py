"""Syndicator: takes a newsroom's stories in, and gives them to the publishers who may have them."""

__version__ = "0.1.0"
