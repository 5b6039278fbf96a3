"""A person at the page to annotate on: reads each review in Chromium and presses a key."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="no Chromium; on Debian, `apt-get install chromium` brings it")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def annotate_in_browser(url: str, label_of: Callable[[str], str | None], limit: int) -> int:
    """Give up to `limit` answers on the page at `url` (…/annotate), then press "Write answers".

    `label_of` says the category of a review by its text as the page shows it; None is "cannot tell", which counts as
    an answer. Returns how many were given; fewer where the batch ends. Fails on anything in the console.
    """
    with chromium() as browser:
        page = browser.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        given = annotate(page, label_of, limit)
        write_answers(page)
        assert not complaints, complaints
    return given


def annotate(page: Page, label_of: Callable[[str], str | None], limit: int) -> int:
    """Answer up to `limit` open reviews on a page that is open; return how many there were."""
    expect(page.locator("#work")).to_be_visible()
    keys = page.locator("#categories button").evaluate_all(
        "(buttons) => Object.fromEntries(buttons.map(({ dataset }) => [dataset.label, dataset.key]))"
    )
    for given in range(limit):
        if not page.locator("#review").is_visible():
            return given
        label = label_of(page.locator("#text").text_content() or "")
        page.keyboard.press("s" if label is None else keys[label])
    return limit


def write_answers(page: Page) -> None:
    """Press the button, and see that all was saved and written."""
    expect(page.locator("#saved")).to_have_text("saved ✓")
    page.get_by_role("button", name="Write answers").click()
    expect(page.locator("#written")).to_contain_text("Written to")
