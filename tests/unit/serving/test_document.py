"""docs/serving.md: what it tells to send is answered, and its limits are those of the code."""

import json
import re
from pathlib import Path

from stages.serving.app import create_app
from stages.serving.settings import Limits, Settings
from tests.conftest import ROOT
from tests.unit.serving.conftest import served

TEXT = (ROOT / "docs/serving.md").read_text(encoding="utf-8")


def test_its_examples_are_answered(student_folder: Path, index_folder: Path) -> None:
    asked = re.findall(r"^curl --json '(.+)' http://127\.0\.0\.1:8000(/\S+)$", TEXT, re.MULTILINE)
    assert [path for _, path in asked] == ["/predict", "/predict", "/neighbours"]
    with served(create_app(Settings(student_folder, index_folder))) as client:
        for body, path in asked:
            answer = client.post(path, json=json.loads(body))
            assert answer.status_code == 200
            shown = re.search(rf"^curl --json '{re.escape(body)}'.*\n# (\{{.*\}})$", TEXT, re.MULTILINE)
            assert shown
            assert re.findall(r'"(\w+)":', shown[1])[:2] == re.findall(r'"(\w+)":', answer.text)[:2]
        for path in re.findall(r"http://127\.0\.0\.1:8000(/\w+)", TEXT):
            assert client.get(path).status_code in (200, 405, 422), path


def test_its_limits_are_those_of_the_service() -> None:
    most = Limits()
    for said in (
        f"more than {most.texts} texts or {most.body // 2**20} MiB a request, {most.characters:,} characters a text, "
        f"{most.file // 2**20} MiB or {most.rows:,} rows a table",
        f"{most.waiting} texts wait, {most.requests} requests are open, or {most.tables} tables are being answered",
        f"`--batch-size` texts ({Settings.batch_size})",
        f"client_max_body_size {most.file // 2**20}m",
    ):
        assert said in TEXT
