"""The page to annotate on in a real browser, against a real server on loopback: what a key press becomes, and what a
killed server, a reload, a second tab and hostile reviews do to it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, expect

from stages.annotating.answers import read_answers
from stages.serving.app import create_app
from stages.serving.settings import Settings
from tests.annotator import annotate, annotate_in_browser, chromium, needs_chromium, write_answers
from tests.batches import CATEGORIES, write_batch
from tests.conftest import ROOT

pytestmark = needs_chromium

TEXTS = [f"Отзыв {number}: сапоги тёплые" for number in range(30)]
# What Chromium itself says of a server that is not there, or is killed.
GONE = "Failed to load resource: net::ERR_CONNECTION_"
SERVER = """
import sys, uvicorn
from pathlib import Path
from stages.serving.app import create_app
from stages.serving.settings import Settings
folder, port, *categories = sys.argv[1:]
app = create_app(Settings(model=None, answers=Path(folder, "answers.csv"), categories=tuple(categories)))
uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning")
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


class Served:
    """The service in a process of its own, to be killed and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self._command = [sys.executable, "-c", SERVER, str(folder), str(self._port), *CATEGORIES]
        self.url = f"http://127.0.0.1:{self._port}/annotate"
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, cwd=ROOT)
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            time.sleep(0.05)
        pytest.fail("the service does not come up")

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def start(serve: Callable[[FastAPI], httpx2.Client]) -> Callable[..., str]:
    """Starts the service over a folder; gives its page's address."""

    def started(folder: Path, categories: Sequence[str] = CATEGORIES) -> str:
        settings = Settings(model=None, answers=folder / "answers.csv", categories=tuple(categories))
        return f"{serve(create_app(settings)).base_url}/annotate"

    return started


@pytest.fixture
def context(browser: Browser, complaints: list[str], start: Callable[..., str]) -> Iterator[BrowserContext]:
    """A browser of its own, with a silent console."""
    context = browser.new_context()
    context.on("console", lambda message: complaints.append(message.text))
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    yield context
    context.close()
    assert not complaints, complaints


def opened(context: BrowserContext, url: str) -> Page:
    page = context.new_page()
    page.goto(url)
    expect(page.locator("#work")).to_be_visible()
    return page


def saved(page: Page) -> None:
    expect(page.locator("#saved")).to_have_text("saved ✓", timeout=20_000)


def at(page: Page, number: int) -> None:
    expect(page.locator("#text")).to_have_text(TEXTS[number])


def test_nothing_is_lost_by_undo_reload_and_kill_9(
    tmp_path: Path, context: BrowserContext, complaints: list[str]
) -> None:
    ids = write_batch(tmp_path, TEXTS)
    served = Served(tmp_path)
    try:
        page = opened(context, served.url)
        for key in "123456789":
            page.keyboard.press(key)
        at(page, 9)
        page.keyboard.press("s")
        page.keyboard.press("1")
        page.keyboard.press("u")
        at(page, 10)
        page.keyboard.press("Backspace")
        at(page, 9)
        page.keyboard.press("Control+z")
        at(page, 8)
        page.keyboard.press("3")
        page.keyboard.press("0")
        for _ in range(4):
            page.keyboard.press("ArrowLeft")
        at(page, 6)
        page.keyboard.press("2")  # Corrects it, and goes on where nothing was said yet.
        at(page, 10)
        saved(page)

        served.kill()
        page.keyboard.press("5")
        page.keyboard.press("6")
        page.keyboard.press("u")
        page.keyboard.press("7")
        expect(page.locator("#trouble")).to_contain_text("Not saved: the server does not answer")
        expect(page.locator("#trouble")).to_contain_text("4 presses wait")
        at(page, 12)
        served.start()
        saved(page)
        expect(page.locator("#trouble")).to_be_hidden()
        page.reload()
        at(page, 12)

        for number in range(12, 20):
            page.keyboard.press(str(number % 9 + 1))
            if number == 15:  # Whether it has come through or not.
                served.kill()
                served.start()
            saved(page)
        page.get_by_text("All reviews").click()
        page.get_by_role("button", name=TEXTS[3]).click()
        at(page, 3)
        page.keyboard.press("9")
        at(page, 20)
        given = annotate(page, lambda text: CATEGORIES[int(text.split(":")[0].split()[1]) % 9], 100)
        assert given == 10
        expect(page.locator("#total")).to_have_text("All 30 are done: 29 answered, 1 skipped")
        write_answers(page)
        expect(page.locator("#written")).to_contain_text("29 new, 0 changed, 0 as they were")
        expect(page.locator("#written")).to_contain_text("make repro")
    finally:
        served.kill()
    pressed = {number: number for number in range(9)} | {3: 8, 6: 1, 8: 2, 10: 4, 11: 6}
    pressed |= {number: number % 9 for number in range(12, 30)}
    answers = read_answers(tmp_path / "answers.csv").set_index("id")["label"].to_dict()
    assert answers == {ids[number]: CATEGORIES[label] for number, label in pressed.items()}
    complaints[:] = [complaint for complaint in complaints if not complaint.startswith(GONE)]


@pytest.mark.slow
def test_two_tabs_and_another_browser_share_what_was_said(
    tmp_path: Path, context: BrowserContext, browser: Browser, start: Callable[..., str]
) -> None:
    write_batch(tmp_path, TEXTS)
    url = start(tmp_path)
    one, two = opened(context, url), opened(context, url)
    one.keyboard.press("1")
    saved(one)
    two.keyboard.press("2")  # The same review: the last answer wins, and both show it.
    saved(two)
    one.keyboard.press("3")
    saved(one)
    one.get_by_text("All reviews").click()
    expect(one.locator("#list li").nth(0)).to_contain_text(CATEGORIES[1])
    two.keyboard.press("u")  # Its own.
    at(two, 0)
    expect(two.get_by_role("button", name=CATEGORIES[0])).to_have_attribute("aria-pressed", "true")
    saved(two)
    another = browser.new_context().new_page()
    another.goto(url)
    at(another, 2)
    expect(another.locator("#undo")).to_be_disabled()
    another.close()


@pytest.mark.slow
def test_what_a_closed_tab_could_not_send_is_sent_by_the_next_one(
    tmp_path: Path, context: BrowserContext, complaints: list[str], start: Callable[..., str]
) -> None:
    write_batch(tmp_path, TEXTS)
    url = start(tmp_path)
    page = opened(context, url)
    context.set_offline(True)
    page.keyboard.press("4")
    expect(page.locator("#saved")).to_have_text("not saved")
    page.close()
    context.set_offline(False)
    complaints.clear()
    # Half a minute later.
    context.add_init_script("const now = Date.now; Date.now = () => now() + 30_000;")
    page = opened(context, url)
    saved(page)
    at(page, 1)
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("button", name=CATEGORIES[3])).to_have_attribute("aria-pressed", "true")


@pytest.mark.slow
def test_a_new_batch_is_noticed_and_the_answers_of_the_old_one_are_written(
    tmp_path: Path, context: BrowserContext, start: Callable[..., str]
) -> None:
    url = start(tmp_path)
    page = context.new_page()
    page.goto(url)
    expect(page.get_by_text("make annotate N=100")).to_be_visible()
    (old,) = write_batch(tmp_path, ["сапоги"])
    expect(page.locator("#text")).to_have_text("сапоги", timeout=10_000)
    (new,) = write_batch(tmp_path, ["кофта"])
    page.keyboard.press("2")
    expect(page.locator("#other")).to_contain_text("Another batch was opened")
    page.get_by_role("button", name="Load it").click()
    expect(page.locator("#text")).to_have_text("кофта")
    page.keyboard.press("3")
    write_answers(page)
    answers = read_answers(tmp_path / "answers.csv").set_index("id")["label"].to_dict()
    assert answers == {old: "обувь", new: "одежда"}


HOSTILE = [
    "<script>document.title = 'ran'</script><img src=x onerror=\"document.title = 'ran'\">",
    "</textarea></p></script>&lt;b&gt; {{ 7 * 7 }} ${7 * 7}",
    "\u202eнаоборот\u2066 и \u200bне\u0301видимое",
    "👩‍👩‍👧‍👦 " + "слово " * 333,
    "ы" * 2000,
]


@pytest.mark.slow
def test_reviews_and_categories_are_text_and_nothing_sticks_out_on_a_phone(
    tmp_path: Path, context: BrowserContext, start: Callable[..., str]
) -> None:
    write_batch(tmp_path, HOSTILE)
    names = ("<b>жирная</b>", "'\"><script>1</script>", "ы" * 80)
    url = start(tmp_path, names)
    page = opened(context, url)
    page.set_viewport_size({"width": 360, "height": 780})
    assert [box.text_content() for box in page.locator("#categories bdi").all()] == list(names)
    page.get_by_text("All reviews").click()
    page.get_by_text("Settings and keys").click()
    for number, text in enumerate(HOSTILE):
        assert page.locator("#text").text_content() == text
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
        page.keyboard.press(str(number % 3 + 1))
    write_answers(page)
    assert page.title() == "Annotate · Razmetka"
    assert sorted(read_answers(tmp_path / "answers.csv")["text"]) == sorted(HOSTILE)


@pytest.mark.slow
def test_keys_of_any_layout_and_more_than_nine_categories(
    tmp_path: Path, context: BrowserContext, start: Callable[..., str]
) -> None:
    write_batch(tmp_path, TEXTS)
    names = tuple(f"категория {number}" for number in range(40))
    url = start(tmp_path, names)
    page = opened(context, url)
    type_ = """([key, code, ctrlKey, repeat]) => document.body.dispatchEvent(
        new KeyboardEvent('keydown', { key, code, ctrlKey, repeat, bubbles: true }))"""
    # A Russian keyboard, a French one, a block of digits; a key that is held; then what is no answer.
    for key, code, label in (("й", "KeyQ", 9), ("&", "Digit1", 0), ("9", "Numpad9", 8), ("Я", "KeyZ", 26)):
        page.evaluate(type_, [key, code, False, False])
        expect(page.locator("#place")).to_contain_text(f"the answer before: {names[label]}")
    page.evaluate(type_, ["ы", "KeyS", False, False])
    expect(page.locator("#place")).to_contain_text("the answer before: cannot tell")
    page.evaluate(type_, ["г", "KeyU", False, False])
    at(page, 4)
    page.evaluate(type_, ["я", "KeyZ", True, False])
    at(page, 3)
    page.evaluate(type_, ["1", "Digit1", False, True])
    page.keyboard.press("Control+1")
    page.keyboard.press("Alt+2")
    at(page, 3)
    page.get_by_role("button", name=names[39]).click()
    at(page, 4)
    saved(page)


@pytest.mark.slow
def test_what_models_think_is_hidden_until_answered(
    tmp_path: Path, context: BrowserContext, start: Callable[..., str]
) -> None:
    write_batch(tmp_path, TEXTS)  # test, validation, train, train, train, …
    url = start(tmp_path)
    page = opened(context, url)
    opinions = page.locator("#opinions")
    expect(opinions).to_be_hidden()
    page.get_by_text("Settings and keys").click()
    page.get_by_label("Show what the models think").check()
    expect(opinions).to_be_hidden()
    expect(page.locator("#blind")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(opinions).to_be_hidden()
    page.keyboard.press("ArrowRight")
    expect(opinions).to_contain_text("посуда, 48%")
    page.reload()
    page.keyboard.press("1")
    page.keyboard.press("ArrowLeft")
    expect(opinions).to_contain_text("Teacher")
    expect(opinions).to_contain_text("Second opinion")


@pytest.mark.slow
def test_a_comment_and_a_name_are_kept_and_keys_in_them_are_letters(
    tmp_path: Path, context: BrowserContext, start: Callable[..., str]
) -> None:
    write_batch(tmp_path, TEXTS)
    url = start(tmp_path)
    page = opened(context, url)
    page.get_by_text("Settings and keys").click()
    page.get_by_label("Your name").fill("Анна 1")
    page.get_by_label("Comment").focus()
    page.keyboard.type("s1u 😀")
    page.get_by_role("button", name=CATEGORIES[2]).click()
    at(page, 1)
    assert page.get_by_label("Comment").input_value() == ""
    saved(page)
    page.reload()
    at(page, 1)
    page.keyboard.press("ArrowLeft")
    assert page.get_by_label("Comment").input_value() == "s1u 😀"
    assert page.get_by_label("Your name").input_value() == "Анна 1"
    page.keyboard.press("c")
    page.keyboard.type(" 2")
    page.keyboard.press("Escape")
    saved(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    first = Path(download.value.path()).read_text(encoding="utf-8").splitlines()[1]
    assert ",одежда,random,test," in first
    assert first.endswith(",s1u 😀 2")


def test_a_script_annotates_and_writes(tmp_path: Path, start: Callable[..., str]) -> None:
    ids = write_batch(tmp_path, TEXTS[:4])
    labels = {TEXTS[0]: "обувь", TEXTS[1]: None, TEXTS[2]: "посуда", TEXTS[3]: "обувь"}
    # A second Playwright needs a thread of its own.
    with ThreadPoolExecutor() as thread:
        assert thread.submit(annotate_in_browser, start(tmp_path), labels.__getitem__, 3).result() == 3
    answers = read_answers(tmp_path / "answers.csv").set_index("id")["label"].to_dict()
    assert answers == {ids[0]: "обувь", ids[2]: "посуда"}
