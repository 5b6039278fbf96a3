"""The preview says what became of each review and each candidate, in the terminal and on a page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stages.previewing.page import SHOWN, one_line, page, review_table, table
from stages.previewing.rows import review_rows, written_counts, written_rows

NAMES = ["обувь", "одежда", "посуда"]
ATTACK = "</style><script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\"> & =1+1"
CURATED = pd.DataFrame(
    {
        "text": ["Кеды жмут", ATTACK, "Чашка с трещиной\x1b[2J, склеила"],
        "teacher_label": ["обувь", "одежда", "одежда"],
        "teacher_confidence": [0.91, 0.4, 0.35],
        "label": ["обувь", "одежда", "посуда"],
        "reasoning": ["", "Речь о платье.", ""],
        "explanation": ["", "Платье", ""],
    }
)
UNANSWERED = pd.DataFrame({"text": ["длинный " * 40], "failure": ["longer than the context"]})
OPINION = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
CANDIDATES = pd.DataFrame(
    [
        ("base", "посуда", "Чашка без ручки", "", "посуда", '{"product": "чашка", "notes": "ручка"}'),
        ("base", "обувь", "Туфли\n", "too_short", "обувь", "{}"),
        ("base", "посуда", "Кофта тёплая", "another_category", "одежда", "{}"),
        ("style", "посуда", "Чашка, ручки нет))", "", "посуда", "{}"),
    ],
    columns=["provenance", "intended", "text", "reason", "read_as", "attributes"],
)
STEPS = ["base", "paraphrase", "style"]


def test_each_review_has_what_everybody_said_of_it() -> None:
    rows = review_rows(CURATED, UNANSWERED, OPINION, NAMES)
    assert rows[0] == {
        "text": "Кеды жмут", "teacher": "обувь", "confidence": 0.91, "why": "", "opinion": "обувь", "curated": "обувь",
        "changed": False,
    }  # fmt: skip
    assert rows[1]["why"] == "Речь о платье. Платье"
    assert (rows[2]["teacher"], rows[2]["opinion"], rows[2]["curated"], rows[2]["changed"]) == (
        "одежда", "посуда", "посуда", True,
    )  # fmt: skip
    assert rows[3]["why"] == "no category: longer than the context"
    assert [row["opinion"] for row in review_rows(CURATED, UNANSWERED, None, NAMES)] == [""] * 4


def test_the_terminal_has_a_line_for_each() -> None:
    lines = review_table(review_rows(CURATED, UNANSWERED, OPINION, NAMES)).splitlines()
    assert len(lines) == 5
    assert lines[1].split() == ["Кеды", "жмут", "обувь", "0.91", "обувь", "обувь"]
    assert "посуда *" in lines[3]
    assert "\x1b" not in lines[3]
    assert lines[4].split()[-1] == "–"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("а\tб\r\nв\x1b[31m", "а б в [31m"),
        ("я" * SHOWN, "я" * SHOWN),
        ("я" * (SHOWN + 1), "я" * (SHOWN - 1) + "…"),
        ("", ""),
    ],
    ids=["control", "fits", "long", "empty"],
)
def test_a_line_is_a_line(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_each_candidate_has_what_became_of_it() -> None:
    rows = written_rows(CANDIDATES)
    assert [row["intended"] for row in rows] == ["обувь", "посуда", "посуда", "посуда"]
    assert rows[1]["facts"] == "product: чашка, notes: ручка"
    assert (rows[2]["reason"], rows[2]["read_as"]) == ("another category", "одежда")
    assert (rows[3]["reason"], rows[3]["read_as"]) == ("", "")


def test_counts_are_by_category_and_step() -> None:
    assert written_counts(CANDIDATES, STEPS) == [
        {"category": "обувь", "base": "0 of 1", "paraphrase": "0 of 0", "style": "0 of 0", "thrown out": "too short 1"},
        {
            "category": "посуда", "base": "1 of 2", "paraphrase": "0 of 0", "style": "1 of 1",
            "thrown out": "another category 1",
        },
    ]  # fmt: skip
    assert written_counts(CANDIDATES.head(0), STEPS) == []
    assert table(pd.DataFrame(written_counts(CANDIDATES.head(0), STEPS))) == "none"


def given(candidates: pd.DataFrame = CANDIDATES) -> dict[str, Any]:
    row = {"questions": "677", "tokens": "39,000 read, 0 written", "time": "about 3 min", "price": "none"}
    costs = [{"stage": stage, **row} for stage in ("label", "generate", "both")]
    return {
        "pile": {"path": f"{ATTACK}.csv", "reviews": 1692},
        "models": {"teacher": "qwen", "generator": "qwen", "embedder": "gemma"},
        "second": True,
        "reviews": review_rows(CURATED, UNANSWERED, OPINION, NAMES),
        "written": written_rows(candidates),
        "counts": written_counts(candidates, STEPS),
        "steps": STEPS,
        "costs": costs,
        "how": ["label: what a question took here, times 1,692 reviews."],
        "prompts": {"for a category": f"Отзыв: {ATTACK}"},
    }


def test_what_reviews_hold_stays_text() -> None:
    html = page(given())
    assert "<script" not in html
    assert "<img" not in html
    assert "default-src 'none'" in html
    assert html.count("&lt;script&gt;document.title") == 4


def test_without_anything_written_it_says_so() -> None:
    assert "no category is to be written for" in page(given(CANDIDATES.head(0)))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium is installed")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_it_without_a_word_on_its_console(
    browser: Any, width: int, scheme: str, tmp_path: Path
) -> None:
    (tmp_path / "preview.html").write_text(page(given()), encoding="utf-8")
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto((tmp_path / "preview.html").as_uri())
    assert tab.title() != "owned"
    assert tab.locator("#reviews + table tbody tr").count() == 4
    # Nothing sticks out to the side.
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.locator("summary").last.click()
    assert tab.get_by_text("Чашка без ручки").is_visible()
    assert said == []
    tab.close()
