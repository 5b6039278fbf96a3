"""`POST /table`: a table of reviews as it is, answered as CSV with category and confidence, row after row."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from stages.running.errors import DataError
from stages.serving.batching import Batcher, OverloadedError
from stages.serving.body import parts
from stages.serving.settings import Limits

if TYPE_CHECKING:
    from stages.common.arrays import FloatArray

# Seconds to wait for a place: one is free only some time after its client has read the last row.
PATIENCE = 2.0
# Rows between two parts of the answer.
ROWS_AT_A_TIME = 32


def tables_router(batcher: Batcher, limits: Limits) -> APIRouter:
    """The router."""
    router = APIRouter()
    places = asyncio.Semaphore(limits.tables)

    async def place() -> AsyncIterator[Path]:
        """Where a table is kept until it is answered."""
        try:
            await asyncio.wait_for(places.acquire(), PATIENCE)
        except TimeoutError:
            told = f"{limits.tables} tables are being answered; wait for one"
            raise HTTPException(503, told, headers={"Retry-After": "30"}) from None
        try:
            with TemporaryDirectory(prefix="razmetka-") as folder:
                yield Path(folder) / "table"
        finally:
            places.release()

    # Not `Annotated`: names of this function are unknown there.
    placed = Depends(place)

    @router.post(
        "/table",
        summary="Classify a table: CSV, workbook, JSON lines or Parquet; the answer is CSV",
        response_class=StreamingResponse,
        openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": {}}}},
    )
    async def table(
        request: Request,
        path: Path = placed,
        column: Annotated[str, Query(description="the column with the reviews")] = "text",
    ) -> StreamingResponse:
        with path.open("wb") as file:
            async for part in parts(request, limits.file, limits.seconds):
                file.write(part)
        rows = await run_in_threadpool(_count, path, column, limits)
        headers = {"X-Rows": str(rows), "Content-Disposition": 'attachment; filename="answers.csv"'}
        return StreamingResponse(_answers(path, column, batcher), media_type="text/csv; charset=utf-8", headers=headers)

    return router


def _count(path: Path, column: str, limits: Limits) -> int:
    """The rows of the table, all of which can be read.

    Raises:
        HTTPException: 413 for too many, 422 for what is no table with such a column.
    """
    # Imported here and below: they bring pandas along, which takes a second and a hundred megabytes.
    from stages.inference.streaming import count_rows

    try:
        rows = count_rows(path, column, max_file_mib=limits.unpacked_mib)
    except DataError as error:
        said = str(error)
        if "max_file_mib" in said:
            raise HTTPException(413, f"the file unpacks to more than {limits.unpacked_mib} MiB; split it") from None
        raise HTTPException(422, said.replace(str(path), "the file")) from None
    if rows > limits.rows:
        raise HTTPException(
            413, f"{rows:,} rows, of at most {limits.rows:,}; `python -m stages.predict` answers tables of any length"
        )
    return rows


def _answers(path: Path, column: str, batcher: Batcher) -> Iterator[str]:
    """The rows of the answer, some at a time, with the header before the first."""
    from stages.inference.output import csv_writer
    from stages.inference.streaming import Options, answered
    from stages.reading.table import forget, table_chunks

    buffer, add = io.StringIO(), None
    try:
        for chunk in table_chunks(path, column, chunk_rows=ROWS_AT_A_TIME):
            table = answered(chunk, _Waiting(batcher), Options(column, 0.0), lambda _: None)
            add = add or csv_writer(buffer, table.schema)
            add(table)
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    finally:
        forget()


class _Waiting:
    """The batcher as `answered` asks a classifier; where too many texts wait, those of a table wait for them."""

    def __init__(self, batcher: Batcher) -> None:
        self.labels = batcher.labels
        self._batcher = batcher

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        while True:
            try:
                return self._batcher.submit(texts).result().probabilities
            except OverloadedError as error:
                time.sleep(error.args[0])
