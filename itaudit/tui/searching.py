"""Text search in a dataset, as the dataset screen uses it."""

from itaudit.data.searching import SLICE, matching_positions

__all__ = ["SLICE", "matching_positions"]
