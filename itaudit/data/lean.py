"""Keeps pyarrow from importing pandas, which takes longer than all else that a process imports to read a dataset."""

import sys
from importlib.machinery import ModuleSpec
from typing import Any


class _Hidden:
    @staticmethod
    def find_spec(name: str, *_: Any) -> ModuleSpec | None:
        if name == "pandas":
            raise ModuleNotFoundError(name, name=name)
        return None


def spare_pandas() -> None:
    """Makes pyarrow look for pandas now, once, and not find it; whoever imports pandas later still does.

    pyarrow looks for it whenever something becomes an array, to know its types, which nothing here has.
    """
    import pyarrow as pa

    if "pandas" in sys.modules:
        return
    hidden: Any = _Hidden
    sys.meta_path.insert(0, hidden)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(hidden)
