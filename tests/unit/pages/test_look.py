"""One look for every page."""

import re

import jinja2
import pytest

from stages.pages.templates import SHARED, templates
from tests.conftest import ROOT

LOOK = SHARED / "look.css"
OWN = sorted(path for path in (ROOT / "stages").rglob("*.css") if path != LOOK)


@pytest.mark.parametrize("own", OWN, ids=lambda path: str(path.relative_to(ROOT / "stages")))
def test_a_sheet_uses_what_the_look_or_the_page_defines_and_says_nothing_of_it_again(own):
    look, sheet = LOOK.read_text(), own.read_text()
    # A share of a bar is set on the element.
    marked = "".join(path.read_text() for path in own.parents[1].rglob("*") if path.suffix in (".jinja", ".js"))
    defined = set(re.findall(r"(--[\w-]+):", look + sheet)) | set(re.findall(r"--[\w-]+", marked))
    assert set(re.findall(r"var\((--[\w-]+)", sheet)) <= defined
    rules = {line for line in look.splitlines() if "{" in line and "}" in line}
    assert len(rules) > 10
    assert not rules & set(sheet.splitlines())


def test_a_page_has_the_look_and_its_texts_are_escaped_where_a_card_has_them_as_they_are(tmp_path):
    (tmp_path / "page.jinja").write_text('{% include "look.css" %}{{ text }}')
    assert templates(tmp_path).get_template("page.jinja").render(text="<b>") == LOOK.read_text() + "&lt;b&gt;"
    shown = templates(tmp_path, autoescape=False, finalize=str.upper).get_template("page.jinja").render(text="<b>")
    assert shown.endswith("<B>")
    with pytest.raises(jinja2.UndefinedError):
        templates(tmp_path).get_template("page.jinja").render()
