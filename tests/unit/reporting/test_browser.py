"""The page in a real browser: it runs without a complaint, shows a review on hover and tap, and fits a phone."""

import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path

import pytest

from stages.reporting.run import Run
from tests.unit.reporting.conftest import ATTACK, report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium; on Debian, `apt-get install chromium` brings it"),
]

# Finds the first point by its place in the data, and points at it with the mouse or a finger.
POINT_AT = """
const canvas = document.getElementById("plane"), box = canvas.getBoundingClientRect();
const { x, y } = JSON.parse(document.getElementById("points").textContent).points;
const placed = (all, value, extent) =>
  18 + (value - Math.min(...all)) / (Math.max(...all) - Math.min(...all)) * (extent - 36);
const options = { clientX: box.left + placed(x, x[0], box.width),
                  clientY: box.top + box.height - placed(y, y[0], box.height), pointerType: "mouse", bubbles: true };
"""
HOVER = POINT_AT + 'canvas.dispatchEvent(new PointerEvent("pointermove", options));'
TAP = POINT_AT + 'canvas.dispatchEvent(new MouseEvent("click", options));'
TELL = """
const tell = (value) => document.body.append(Object.assign(document.createElement("pre"),
  { id: "told", textContent: JSON.stringify(value) }));
"""


def browse(html: str, folder: Path, script: str = "", width: int = 1280) -> str:
    """The document after `script` ran in it; fails on anything that the page writes to the console."""
    # The test's own script is let through beside the page's.
    html = html.replace("script-src 'sha256", "script-src 'nonce-test' 'sha256")
    file = folder / "page.html"
    waiting = f'addEventListener("load", () => setTimeout(() => {{ {TELL} {script} }}, 200));'
    file.write_text(html.replace("</body>", f'<script nonce="test">{waiting}</script></body>'), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
    flags += [f"--user-data-dir={folder / 'profile'}", f"--window-size={width},900", "--virtual-time-budget=2000"]
    done = subprocess.run([CHROMIUM, *flags, "--dump-dom", file.as_uri()], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "CONSOLE" not in done.stderr, re.findall(r".*CONSOLE.*", done.stderr)
    return done.stdout


def told(document: str) -> str:
    found = re.search(r'<pre id="told">(.*?)</pre>', document, re.DOTALL)
    assert found, "the test's script did not run"
    return unescape(found[1])


@pytest.fixture
def html(run: Run) -> str:
    return report(run)


@pytest.mark.parametrize("gesture", [HOVER, TAP], ids=["hover", "tap"])
def test_a_point_shows_its_review_as_text(gesture: str, html: str, tmp_path: Path) -> None:
    shown = 'tell([document.querySelector("#review p").textContent, document.querySelectorAll("#review *").length]);'
    document = browse(html, tmp_path, gesture + shown)
    assert told(document).replace('\\"', '"') == f'["{ATTACK}",4]'
    assert "<title>Razmetka: report of the run</title>" in document


def test_pictures_and_classes_can_be_chosen(html: str, tmp_path: Path) -> None:
    script = """
    const counts = () => [...document.querySelectorAll("#legend small")].slice(1, 4).map((node) => node.textContent);
    const first = counts();
    document.getElementById("previous").click();
    const chip = document.querySelector("#legend button");
    chip.click();
    tell([first, counts(), chip.ariaPressed]);
    """
    # обувь, одежда, посуда: real alone, then the last picture, where the real rows of rare classes are left out.
    assert told(browse(html, tmp_path, script)) == '[["1 + 0","8 + 0","0 + 0"],["0 + 3","8 + 0","0 + 3"],"false"]'


def test_the_arrow_keys_go_from_review_to_review(html: str, tmp_path: Path) -> None:
    script = """
    document.getElementById("plane").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
    tell(document.querySelector("#review small").textContent);
    """
    assert told(browse(html, tmp_path, script)) == '"real · teacher’s confidence 0.50"'


def test_nothing_sticks_out_on_a_phone(html: str, tmp_path: Path) -> None:
    # A desktop Chromium has no window as narrow as a phone; a frame has.
    frame = f'<iframe id="phone" width="360" height="800" srcdoc="{escape(html)}"></iframe>'
    outer = f"<!doctype html><title>phone</title><body>{frame}</body>"
    script = """
    const inner = document.getElementById("phone").contentDocument.documentElement;
    tell([inner.clientWidth <= 360, inner.scrollWidth - inner.clientWidth]);
    """
    assert told(browse(outer, tmp_path, script)) == "[true,0]"


def test_a_page_without_optional_parts_runs_too(unchecked: Run, tmp_path: Path) -> None:
    assert told(browse(report(unchecked), tmp_path, "tell(document.scripts.length);")) == "1"
