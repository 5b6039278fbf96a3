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
from stages.common.licences import Licence
from stages.common.manifest import MANIFEST, write_manifest
from stages.composition.compose import compose
from stages.composition.params import Params
from stages.inference.folder import ENCODER, HEAD
from stages.inference.onnx_classifier import QUANTIZED
from stages.latency.config import Front
from stages.reporting.figures import figures
from stages.reporting.page import card
from stages.reporting.run import Run
from stages.running.errors import DataError, ModelError
from tests.conftest import ROOT
from tests.unit.reporting.conftest import ATTACK, report


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
    return report(run)


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
    tags = Tags(report(strange))
    assert set(json.loads(tags.scripts[0])["points"]["text"]) == {"ту\x00фли\x1b\u2028"}


def test_nothing_is_loaded_from_elsewhere(html: str) -> None:
    tags = Tags(html)
    assert {attributes["href"] for tag, attributes in tags.found if "href" in attributes} <= {"data:,", "doubtful.html"}
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
    html = report(unchecked)
    assert "agreement with the teacher" in html
    assert "F1" not in re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    assert "<canvas" not in html


def test_page_and_cards_tell_of_peoples_answers(run: Run, answered: Run) -> None:
    given = figures(answered)
    html = re.sub(r"\s+", " ", report(answered))
    assert "labelled, 5 that people did, 20 written ones and 6 synthetic ones" in html
    assert "It is scored on 4 reviews of this shop that people checked, which it never saw." in html
    assert "Answers, written and synthetic rows add" in html
    assert "real, labelled by people" in html
    model_card = card("model_card.md.jinja", given)
    assert "labelled, 5 that people labelled, 20 written" in model_card
    assert "`human` are 4 reviews of the shop itself that people answered" in model_card
    assert "People answered 11 of the reviews" in card("dataset_card.md.jinja", {**given, "structure": ""})
    without = report(run) + card("model_card.md.jinja", figures(run))
    assert "people" not in re.sub(r"<style>.*?</style>", "", without, flags=re.DOTALL)


def test_cards_are_markdown_with_a_readable_head(run: Run, unchecked: Run) -> None:
    for given in (figures(run), figures(unchecked)):
        text = card("model_card.md.jinja", given)
        head = yaml.safe_load(text.split("---\n")[1])
        assert (head["license"], head["base_model"]) == ("gemma", "google/embeddinggemma-300m")
        assert "Gemma Terms of Use" in head["extra_gated_prompt"]
        assert ("model-index" in head) == given["gold"]["checked"]
        assert not re.search(r"\n\n\n", text)
        dataset_card = card("dataset_card.md.jinja", {**given, "structure": "# Training set\n"})
        assert dataset_card.startswith("# Training set")
        assert ("macro F1" in dataset_card) == given["gold"]["checked"]


@pytest.mark.parametrize(
    ("option", "made", "licensed"),
    [
        ("accurate", "`embeddinggemma-300m`, as it is, with a head learnt from 14 real reviews", "gemma"),
        ("fast", "`e5-small`, which learnt from `embeddinggemma-300m` what to give for a text, with a head", "gemma"),
        ("fastest", "Vectors of words learnt from `embeddinggemma-300m`, with a head", "gemma"),
    ],
)
def test_the_card_tells_what_the_student_was_made_of(
    run: Run, tmp_path: Path, option: str, made: str, licensed: str
) -> None:
    params = compose(tmp_path / "other.yaml", [f"student={option}"], ROOT / "conf")
    text = card("model_card.md.jinja", figures(dataclasses.replace(run, params=params)))
    assert made in text
    assert yaml.safe_load(text.split("---\n")[1])["license"] == licensed


EVIL = 'обувь | `x` <script>alert(1)</script>\n---\n# a: "b" [нажми](http://x) {{ 7 * 7 }}'


def test_names_that_are_markup_are_text_in_the_cards(run: Run) -> None:
    given = figures(run)
    given["student"] = dataclasses.replace(given["student"], name=EVIL, license=EVIL, repo=EVIL)
    given["licence_name"] = EVIL
    given["licence"] = Licence(hub="other", link=EVIL, notice=EVIL)
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
    names = ("language", "base_model", "license_name", "license_link", "extra_gated_prompt")
    assert [head[name] for name in names] == [EVIL] * 5
    assert head["license"] == "other"
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
    assert set(first) == {"report.html", "doubtful.html", "dataset_card.md"}
    stages.report.main()
    assert first == {path.name: path.read_bytes() for path in (folder / "data/report").iterdir()}


def test_the_front_is_shown_where_there_is_one_and_says_whose_it_is(
    folder: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages.report, "load", lambda _: params)
    stages.report.main()
    html = (folder / "data/report/report.html").read_text(encoding="utf-8")
    # int8 passed the gate of this run.
    assert len(re.findall("as in use", html)) == 1
    assert re.search(r"EmbeddingGemma <small>as in use</small></th>\s*<td>int8</td>", html)
    assert "rows of the <em>sample</em>" in html
    record = json.loads((ROOT / "benchmarks/front.json").read_text(encoding="utf-8"))
    assert record["conditions"]["cpu"] in html
    tags = Tags(html)
    assert not [tag for tag, _ in tags.found if tag == "img"]
    without = dataclasses.replace(params, front=Front(measured=str(ROOT / "conf/front/none.json")))
    monkeypatch.setattr(stages.report, "load", lambda _: without)
    stages.report.main()
    assert 'id="front"' not in (folder / "data/report/report.html").read_text(encoding="utf-8")


def test_a_front_that_is_none_is_named(folder: Path, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages.report, "load", lambda _: params)
    measured = folder / "benchmarks/front.json"
    for content in ("", "[]", '{"results": [{"student": "a"}]}', None):
        measured.unlink() if content is None else measured.write_text(content, encoding="utf-8")
        with pytest.raises(DataError, match=r"front.measured=benchmarks/front.json is no record of .*front=none"):
            stages.report.main()


def test_doubtful_reviews_are_text_on_a_page_of_their_own(
    folder: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages.report, "load", lambda _: params)
    stages.report.main()
    assert '<a href="doubtful.html">' in (folder / "data/report/report.html").read_text(encoding="utf-8")
    html = (folder / "data/report/doubtful.html").read_text(encoding="utf-8")
    tags = Tags(html)
    assert [given for tag, given in tags.found if tag == "script"] == [
        {"type": "application/json", "id": "doubtful-rows"},
        {},
    ]
    assert json.loads(tags.scripts[0])["rows"][0][0] == ATTACK
    assert {given["href"] for tag, given in tags.found if "href" in given} == {"data:,", "report.html"}
    assert not [tag for tag, given in tags.found if "src" in given or tag == "img"]
    # What the cap left out is told.
    assert "Asked were only the 5 reviews" in html
    assert "the other 35 are" in html
    assert "make annotate" in html


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
