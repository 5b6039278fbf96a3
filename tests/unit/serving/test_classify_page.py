"""The page in a real browser: pasted and dropped reviews, their neighbours, the download; and on a phone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from stages.serving.app import create_app
from stages.serving.settings import Settings
from tests.unit.serving.conftest import served

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium; on Debian, `apt-get install chromium` brings it")
ATTACK = "сапоги <img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(student_folder: Path, index_folder: Path) -> Iterator[str]:
    with served(create_app(Settings(student_folder, index_folder))) as client:
        yield str(client.base_url)


@contextmanager
def opened(browser: Browser, address: str, width: int = 1280) -> Iterator[Page]:
    """The page; fails on anything that it writes to the console."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    yield page
    page.close()
    assert said == []


def test_pasted_reviews_get_categories_and_neighbours(browser: Browser, address: str, tmp_path: Path) -> None:
    with opened(browser, address) as page:
        page.get_by_label("Reviews, one a line").fill(f'платье, "новое"\n\n{ATTACK}\n=кофта(1)')
        page.get_by_role("button", name="Classify").click()
        page.get_by_role("link", name="Download as CSV").wait_for()
        answers = page.locator("#answers button")
        assert answers.locator(".review").all_text_contents() == ['платье, "новое"', ATTACK, "'=кофта(1)"]
        assert [text.rstrip("0123456789.") for text in answers.locator(".category").all_text_contents()] == [
            "одежда", "обувь", "одежда",
        ]  # fmt: skip
        bar = answers.nth(0).locator(".bar")
        assert bar.locator("i").bounding_box()["width"] > 0.8 * bar.bounding_box()["width"]  # type: ignore[index]
        assert page.locator("#counts").text_content() == "одежда 2 · обувь 1"
        answers.nth(1).click()
        page.locator("#near li").first.wait_for()
        assert page.locator("#near li p:nth-child(2)").all_text_contents()[:2] == ["сапоги", "кеды"]
        assert answers.nth(1).get_attribute("aria-pressed") == "true"
        with page.expect_download() as download:
            page.get_by_role("link", name="Download as CSV").click()
        download.value.save_as(tmp_path / "answers.csv")
    header, *rows = (tmp_path / "answers.csv").read_text(encoding="utf-8-sig").splitlines()
    assert header == "text,category,confidence"
    assert rows[0].startswith('"платье, ""новое""",одежда,0.9')


def test_a_dropped_table_is_read_whatever_its_encoding(browser: Browser, address: str) -> None:
    # Bytes that the browser hands over as they are: cp1251, semicolons.
    drop = """bytes => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([new Uint8Array(bytes)], "отзывы.csv"));
      const drop = new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
      document.getElementById("ask").dispatchEvent(drop);
    }"""
    rows = "№;отзыв\n" + "".join(f"{number};{'сапоги' if number % 2 else 'заказ'}\n" for number in range(250))
    with opened(browser, address) as page:
        page.get_by_label("Column").fill("отзыв")
        page.evaluate(drop, list(rows.encode("cp1251")))
        page.get_by_role("link", name="Download as CSV").wait_for()
        assert page.locator("#answers li").count() == 200
        assert page.locator("#counts").text_content() == "нет товара 125 · обувь 125. The first 200 are shown."
        assert not page.locator("#progress").is_visible()


def test_what_cannot_be_used_is_said_on_the_page(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.goto(address)
    page.get_by_role("button", name="Classify").click()
    assert page.locator("#status.wrong").text_content() == "Paste a review first, or choose a table."
    page.locator("#file").set_input_files({"name": "a.csv", "mimeType": "text/csv", "buffer": b"review\n1\n"})
    page.get_by_text("no column 'text'; it has 'review'").wait_for()
    page.close()


def test_nothing_sticks_out_on_a_phone(browser: Browser, address: str) -> None:
    with opened(browser, address, 390) as page:
        page.get_by_label("Reviews, one a line").fill("сапоги " * 60 + "\n" + "а" * 300)
        page.get_by_role("button", name="Classify").click()
        page.get_by_role("link", name="Download as CSV").wait_for()
        page.locator("#answers button").nth(0).click()
        # Below the review, and gone from there with the next answers.
        page.locator("#answers li").nth(0).locator("#near li").first.wait_for()
        page.get_by_role("button", name="Classify").click()
        page.locator(".beside > #near").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
