"""Batches as tasks of Label Studio, and the answers that it exports.

Tasks: https://labelstud.io/guide/predictions, https://labelstud.io/guide/task_format; exports: JSON and JSON-MIN of
https://labelstud.io/guide/export. Its CSV has the columns of JSON-MIN and is read as any other table.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd

from stages.reading.encoding import decode
from stages.running.errors import DataError

# Names that its labelling configuration gives to the text and to the answer. The answer's is a column of its exports.
TEXT, ANSWER = "text", "label"
# A task has an `id` of Label Studio's own, which some exports put in the place of another.
REVIEW_ID = "review_id"
KEYS = "123456789"


def tasks(batch: pd.DataFrame) -> list[dict[str, Any]]:
    """A task for each row of a drawn batch, with what student and teacher say as predictions.

    Rows that are scored or calibrated by have none: who sees an answer tends to agree with it.
    """
    return [
        {
            "data": {REVIEW_ID: row["id"], TEXT: row["text"], "drawn": row["drawn"], "split": row["split"]},
            "predictions": _predictions(row) if row["split"] == "train" else [],
        }
        for row in batch.to_dict("records")
    ]


def labelling_config(names: Sequence[str]) -> str:
    """What is pasted into a project's labelling setup: one choice a review, the first nine on keys 1 to 9."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Text", name=TEXT, value=f"${TEXT}")
    choices = ElementTree.SubElement(view, "Choices", name=ANSWER, toName=TEXT, choice="single", required="true")
    for place, name in enumerate(names):
        hotkey = {"hotkey": KEYS[place]} if place < len(KEYS) else {}
        ElementTree.SubElement(choices, "Choice", {"value": name} | hotkey)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def is_export(path: Path) -> bool:
    """Whether `path` is one JSON list, as Label Studio exports it."""
    with path.open("rb") as opened:
        return opened.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def read_export(path: Path) -> pd.DataFrame:
    """The answers in an export, columns row, id, text, label, drawn: a row for each annotation of each task.

    A task that was skipped or not answered has the label "", several choices have one that is no category.

    Raises:
        DataError: it is no export of Label Studio; the message names the task.
    """
    content, _ = decode(path.read_bytes(), str(path))
    try:
        given = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON ({error}); export it from Label Studio again") from error
    rows: list[tuple[str, ...]] = []
    for number, task in enumerate(given, start=1):
        try:
            rows += _answers(task, f"task {task.get('id', number)}")
        except (AttributeError, KeyError, TypeError) as error:
            raise DataError(
                f"{path}, task {number} is not as Label Studio exports it ({type(error).__name__}: {error}); export "
                "JSON, JSON-MIN or CSV"
            ) from error
    return pd.DataFrame(rows, columns=["row", "id", "text", "label", "drawn"], dtype=str)


def _predictions(row: dict[Hashable, Any]) -> list[dict[str, Any]]:
    return [
        _prediction("student", row["student"], row["confidence"]),
        _prediction("teacher", row["teacher"], row["teacher_confidence"]),
    ]


def _prediction(who: str, label: str, score: str) -> dict[str, Any]:
    result = {"from_name": ANSWER, "to_name": TEXT, "type": "choices", "value": {"choices": [label]}}
    return {"model_version": who, "score": float(score), "result": [result]}


def _answers(task: dict[str, Any], name: str) -> Iterator[tuple[str, ...]]:
    """The answers of a task of JSON or, where it has no `data`, of JSON-MIN."""
    data = task.get("data", task)
    review = (str(data.get(REVIEW_ID, "")), str(data[TEXT]))
    drawn = str(data.get("drawn", ""))
    if data is task:
        yield name, *review, _chosen(task.get(ANSWER, "")), drawn
        return
    annotations = task.get("annotations") or [{"result": []}]
    for annotation in annotations:
        who = annotation.get("completed_by")
        who = who.get("email", who.get("id")) if isinstance(who, dict) else who
        results = [] if annotation.get("was_cancelled") else annotation["result"]
        labels = [_chosen(result["value"]) for result in results if result["type"] == "choices"]
        yield name + f" by {who}" * (who is not None), *review, "; ".join(labels), drawn


def _chosen(value: Any) -> str:
    """What was chosen: nothing, a label, a list of labels, or any of these as the value of `choices`."""
    chosen = value["choices"] if isinstance(value, dict) else value
    return chosen if isinstance(chosen, str) else "; ".join(map(str, chosen or []))
