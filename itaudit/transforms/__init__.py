"""Transforms: named, composable, recorded steps that choose or change the instances of a dataset."""

from itaudit.steps import AnyStep, parse_steps
from itaudit.transforms.chain import Difficulties, Record, apply
from itaudit.transforms.task_variants import output_spaces

__all__ = ["AnyStep", "Difficulties", "Record", "apply", "output_spaces", "parse_steps"]
