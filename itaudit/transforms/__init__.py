"""Transforms: named, composable, recorded steps that choose or change the instances of a dataset."""

from itaudit.steps import AnyStep, parse_steps
from itaudit.transforms.chain import Difficulties, Record, apply

__all__ = ["AnyStep", "Difficulties", "Record", "apply", "parse_steps"]
