"""Further columns for a dataset."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from itaudit.data.dataset import NATIVE, Dataset


def with_columns(dataset: Dataset, columns: Mapping[str, Sequence[Any]]) -> Dataset:
    """The dataset with columns of JSON values, one a row, in place of any of the same names."""
    texts = []
    for position, stored in enumerate(dataset.rows()):
        own = {name: value for name, value in stored.extra.items() if name not in dataset.native_names}
        own |= {name: values[position] for name, values in columns.items()}
        texts.append(orjson.dumps(own).decode())
    table = dataset.table.drop_columns([NATIVE + name for name in dataset.native_names if name in columns])
    place = table.schema.get_field_index("extra")
    table = table.set_column(place, table.schema.field("extra"), pa.array(texts, table.schema.field("extra").type))
    return dataset.replaced(table=table)
