"""The page as text: what is in it, and that nothing a review holds becomes mark-up."""

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

import stages.package
import stages.report
from stages.common.errors import ModelError
from stages.common.manifest import MANIFEST, write_manifest
from stages.composition.params import Params
from stages.inference.folder import ENCODER, HEAD
from stages.inference.onnx_classifier import QUANTIZED
from stages.reporting.figures import figures
from stages.reporting.page import card, page
from stages.reporting.run import Run
from tests.unit.reporting.conftest import ATTACK


class Tags(HTMLParser):
    """Collects start tags with their attributes, and the text of scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.lasttag == "script" and data.strip():
            self.scripts.append(data)


@pytest.fixture
def html(run: Run) -> str:
    return page(figures(run))


def test_reviews_are_text(html: str) -> None:
    tags = Tags(html)
    assert [attributes for tag, attributes in tags.found if tag == "script"] == [
        {"type": "application/json", "id": "points"},
        {},
    ]
    assert not [tag for tag, _ in tags.found if tag in ("img", "iframe", "object")]
    assert not [attributes for _, attributes in tags.found if any(name.startswith("on") for name in attributes)]
    assert json.loads(tags.scripts[0])["points"]["text"][0] == ATTACK


def test_control_characters_of_a_generator_stay_in_the_data(run: Run) -> None:
    strange = dataclasses.replace(run, points=run.points.assign(text="ту\x00фли\x1b\u2028"))
    tags = Tags(page(figures(strange)))
    assert set(json.loads(tags.scripts[0])["points"]["text"]) == {"ту\x00фли\x1b\u2028"}


def test_nothing_is_loaded_from_elsewhere(html: str) -> None:
    tags = Tags(html)
    assert {attributes["href"] for tag, attributes in tags.found if "href" in attributes} <= {"data:,"}
    assert not [tag for tag, attributes in tags.found if "src" in attributes]
    assert "url(" not in html
    assert "@import" not in html


def test_it_shows_what_the_run_gave(html: str) -> None:
    for shown in ("0.400", "+0.100", "−0.020", "41", "украшения и аксессуары", "learned from the teacher", "Gemma"):
        assert shown in html


def test_ids_are_unique_and_labels_point_to_them(html: str) -> None:
    attributes = [given for _, given in Tags(html).found]
    ids = [given["id"] for given in attributes if "id" in given]
    assert len(ids) == len(set(ids))
    assert {given["aria-labelledby"] for given in attributes if "aria-labelledby" in given} <= set(ids)


def test_a_run_without_optional_parts_has_a_page(unchecked: Run) -> None:
    html = page(figures(unchecked))
    assert "agreement with the teacher" in html
    assert "F1" not in re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    assert "<canvas" not in html


def test_cards_are_markdown_with_a_readable_head(run: Run, unchecked: Run) -> None:
    for given in (figures(run), figures(unchecked)):
        text = card("model_card.md.jinja", given)
        head = yaml.safe_load(text.split("---\n")[1])
        assert head["license"] == "gemma"
        assert ("model-index" in head) == given["gold"]["checked"]
        assert not re.search(r"\n\n\n", text)
        dataset_card = card("dataset_card.md.jinja", {**given, "structure": "# Training set\n"})
        assert dataset_card.startswith("# Training set")
        assert ("macro F1" in dataset_card) == given["gold"]["checked"]


EVIL = 'обувь | `x` <script>alert(1)</script>\n---\n# a: "b" [нажми](http://x) {{ 7 * 7 }}'


def test_names_that_are_markup_are_text_in_the_cards(run: Run) -> None:
    given = figures(run)
    given["student"] = dataclasses.replace(given["student"], name=EVIL, license=EVIL, repo=EVIL)
    given["teacher"] = dataclasses.replace(given["teacher"], name=EVIL)
    given["language"], given["commit"] = EVIL, EVIL
    given["settings"] = {**given["settings"], "data": EVIL, "prompt": EVIL}
    given["confusion"] = {**given["confusion"], "labels": [EVIL, EVIL]}
    given["class_f1"] = [{**row, "label": EVIL} for row in given["class_f1"]]
    given["scores"] = [
        {**table, "set": EVIL, "classifiers": [{**row, "name": EVIL} for row in table["classifiers"]]}
        for table in given["scores"]
    ]
    given["models"] = [{**model, "name": EVIL, "license": EVIL, "source": EVIL} for model in given["models"]]
    text = card("model_card.md.jinja", given)
    _, front, body = re.split(r"^---$", text, maxsplit=2, flags=re.MULTILINE)
    head = yaml.safe_load(front)
    assert (head["language"], head["license"], head["base_model"]) == (EVIL, EVIL.lower(), EVIL)
    assert head["model-index"][0]["results"][0]["dataset"] == {"name": EVIL, "type": EVIL}
    dataset_card = card("dataset_card.md.jinja", {**given, "structure": "# Training set\n\n*ours*\n"})
    assert "*ours*" in dataset_card
    for markdown in (body, dataset_card):
        rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
        assert not re.findall(r"<(?:script|a|img|hr)\b", rendered)
        tables = re.findall(r"<table>.*?</table>", rendered, re.DOTALL)
        assert tables
        for table in tables:
            rows = [len(re.findall("<t[hd]", row)) for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)]
            assert len(set(rows)) == 1


def test_the_stage_writes_page_and_cards(folder: Path, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages.report, "load", lambda _: params)
    stages.report.main()
    first = {path.name: path.read_bytes() for path in (folder / "data/report").iterdir()}
    assert set(first) == {"report.html", "dataset_card.md"}
    stages.report.main()
    assert first == {path.name: path.read_bytes() for path in (folder / "data/report").iterdir()}


def test_the_student_is_packaged_with_card_and_example(
    folder: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages.package, "load", lambda _: params)
    student = folder / "data/students/style"
    student.mkdir(parents=True)
    for name in (ENCODER, HEAD):
        (student / name).write_bytes(b"weights")
    exported = folder / "data/export/onnx"
    exported.mkdir()
    (exported / QUANTIZED).write_bytes(b"graph")
    for made in (student, exported):
        write_manifest(made)
    (folder / "data/student").mkdir()
    (folder / "data/student/leftover.txt").write_text("of another run")
    for _ in range(2):
        stages.package.main()
    packaged = {path.name: path for path in (folder / "data/student").iterdir()}
    assert set(packaged) == {ENCODER, HEAD, MANIFEST, "README.md", "example.py", "onnx"}
    # One file under two names.
    assert packaged[ENCODER].samefile(student / ENCODER)
    assert (packaged["onnx"] / QUANTIZED).samefile(exported / QUANTIZED)
    text = packaged["README.md"].read_text()
    assert "trust_remote_code=True" in text
    assert "int8 reaches a macro F1 of 0.800 on 12 checked reviews, fp32 0.810." in text
    compile(packaged["example.py"].read_text(), "example.py", "exec")
    # What is not whole is not shared, and what was shared stays.
    (student / HEAD).write_bytes(b"w")
    with pytest.raises(ModelError, match=rf"{HEAD} is not what was written.*run `dvc repro package`"):
        stages.package.main()
    assert (folder / "data/student" / HEAD).exists()
