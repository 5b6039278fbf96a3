"""Lists of reviews in a real browser: chosen, searched, turned over, and never more than text."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from stages.listing.doubtful import doubtful
from stages.reporting.page import page
from tests.unit.reporting.conftest import ATTACK, DOUBTFUL

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium; on Debian, `apt-get install chromium` brings it"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """The page of sixty-two doubtful reviews; the console has to stay silent."""
    others = pd.concat([DOUBTFUL.tail(1)] * 59).assign(id=[f"n{number}" for number in range(59)])
    rows = pd.concat([DOUBTFUL, others], ignore_index=True)
    html = page(
        doubtful(rows, {"labels": 90, "doubtful": 70, "read": 80, "shown": 62}), "doubtful.html.jinja", "reviews.js"
    )
    (tmp_path / "doubtful.html").write_text(html, encoding="utf-8")
    window = browser.new_page()
    said: list[str] = []
    window.on("console", lambda message: said.append(message.text))
    window.on("pageerror", lambda error: said.append(str(error)))
    window.on(
        "request", lambda request: said.append(request.url) if not request.url.startswith(("file:", "data:")) else None
    )
    window.goto((tmp_path / "doubtful.html").as_uri())
    yield window
    assert said == []
    window.close()


def count(window: Page) -> str:
    return window.inner_text("[role=status]")


def test_the_most_doubtful_stands_first_as_text(opened: Page) -> None:
    assert opened.inner_text("ol li:first-child blockquote") == ATTACK
    assert opened.title() == "Razmetka: doubtful reviews"
    assert opened.locator("ol img, ol script").count() == 0
    # Who says something else than the label is marked: here teacher and student.
    assert opened.locator("ol li:first-child .wrong dt").all_inner_texts() == ["teacher", "student"]
    assert opened.inner_text("ol li:first-child .lesson").startswith("doubt 0.80, train: the teacher says another")


def test_pages_are_turned_and_end(opened: Page) -> None:
    assert count(opened) == "1–25 of 62"
    previous, following = opened.get_by_label("previous reviews"), opened.get_by_label("next reviews")
    assert previous.is_disabled()
    following.click()
    following.click()
    assert count(opened) == "51–62 of 62"
    assert (opened.locator("ol li").count(), opened.locator("ol").get_attribute("start")) == (12, "51")
    assert following.is_disabled()
    previous.click()
    assert count(opened) == "26–50 of 62"


def test_reviews_are_chosen_by_category_split_and_reason_together(opened: Page) -> None:
    opened.get_by_label("reason").select_option(label="the student says another")
    assert count(opened) == "1–2 of 2"
    opened.get_by_label("split").select_option(label="test")
    assert opened.locator("blockquote").all_inner_texts() == ["ёлка"]
    opened.get_by_label("category").select_option(label="обувь")
    assert count(opened) == "none"
    for facet in ("reason", "split", "category"):
        opened.get_by_label(facet).select_option(label="all")
    assert count(opened) == "1–25 of 62"


def test_search_knows_neither_case_nor_yo(opened: Page) -> None:
    opened.get_by_label("text").fill(" ЕЛКА ")
    assert opened.locator("blockquote").all_inner_texts() == ["ёлка"]
    opened.get_by_label("text").fill("<img")
    assert opened.locator("blockquote").all_inner_texts() == [ATTACK]


def test_nothing_sticks_out_on_a_phone(opened: Page) -> None:
    opened.set_viewport_size({"width": 390, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth") == 390


def test_a_run_without_doubt_has_a_page_too(browser: Browser, tmp_path: Path) -> None:
    counts = {"labels": 5, "doubtful": 0, "read": 5, "shown": 0}
    html = page(doubtful(DOUBTFUL.iloc[:0], counts), "doubtful.html.jinja", "reviews.js")
    (tmp_path / "doubtful.html").write_text(html, encoding="utf-8")
    window = browser.new_page()
    window.goto((tmp_path / "doubtful.html").as_uri())
    assert "No label that was looked at gives a reason to doubt it." in window.inner_text("header")
    assert window.locator("script").count() == 0
    window.close()
