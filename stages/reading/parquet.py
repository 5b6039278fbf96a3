"""Parquet: columns keep their types."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stages.reading.content import BLOCK
from stages.running.errors import DataError


def parquet_chunks(path: Path, chunk_rows: int, limit: int | None) -> Iterator[pa.Table]:
    """The rows of `path`, `chunk_rows` at a time; the first chunk has none, and tells the columns.

    Raises:
        DataError: it is damaged, or unpacks to more than `limit` bytes.
    """
    try:
        # A buffer, or pyarrow would hold a whole row group, which may be the whole file.
        with pq.ParquetFile(path, buffer_size=BLOCK) as file:
            declared = sum(file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups))
            _require_size(path, declared, limit)
            schema = file.schema_arrow
            yield schema.empty_table()
            repeated = [field.name for field in schema if pa.types.is_string(field.type)]
        # A text that is stored once for a million rows is kept once, until it is known what all of them weigh.
        with pq.ParquetFile(path, buffer_size=BLOCK, read_dictionary=repeated) as file:
            weight = 0
            for batch in file.iter_batches(chunk_rows):
                weight += sum(map(_weight, batch.columns))
                _require_size(path, weight, limit)
                yield pa.table(
                    [_plain(column, field.type) for column, field in zip(batch.columns, schema, strict=True)],
                    schema=schema,
                )
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}") from error


def _require_size(path: Path, size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise DataError(f"{path} unpacks to {size / 2**20:.0f} MiB or more, over data.max_file_mib={limit // 2**20}")


def _weight(column: pa.Array) -> int:
    """Bytes of a column in memory, each of its texts counted as often as it stands there."""
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    lengths = pa.compute.binary_length(column.dictionary)
    return int(pa.compute.sum(lengths.take(column.indices)).as_py() or 0)


def _plain(column: pa.Array, kind: pa.DataType) -> pa.Array:
    return column.cast(kind) if column.type != kind else column
