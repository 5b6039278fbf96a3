"""Texts of users and models in Markdown and in a YAML head stay texts."""

from __future__ import annotations

import html
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from stages.common.markdown import code, inline, yaml_value

EVIL = [
    "обувь | <script>alert(1)</script>",
    "---",
    "a: b # c",
    "'\"`",
    "```\n# heading\n---\nx",
    "[нажми](javascript:alert(1)) ![](http://x/y.png)",
    "<img src=x onerror=alert(1)> &amp; &#60;b&#62;",
    "*жирно* _курсив_ ~~нет~~ __init__ snake_case",
    "\\| \\` \\",
    "{{ 7 * 7 }} ${x} $$y$$",
    "\x85\u2028\u2029\x7f\ufeff",
    "-", "yes", "null", "1e5", "[a, b]", "{a: b}", "!!python/object:os.system x", "&a *a", "😀",
]  # fmt: skip


def shown(markdown: str) -> str:
    """What a reader sees of Markdown with tables and HTML, after making sure that it is a paragraph of text alone."""
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough").render(markdown)
    assert set(re.findall(r"</?\w+", rendered)) <= {"<p", "</p", "<code", "</code"}, rendered
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", rendered)).split())


@pytest.mark.parametrize("text", EVIL)
def test_inline_is_text(text: str) -> None:
    assert shown(f"x {inline(text)} y") == " ".join(f"x {text} y".split())
    rendered = (
        MarkdownIt("commonmark", {"html": True})
        .enable("table")
        .render(f"| a | b |\n|---|---|\n| {inline(text)} | z |\n")
    )
    cells = re.findall(r"<td>(.*?)</td>", rendered, re.DOTALL)
    assert [html.unescape(cell) for cell in cells] == [" ".join(text.split()), "z"]


@pytest.mark.parametrize("text", EVIL)
def test_code_is_one_span(text: str) -> None:
    assert shown(f"x {code(text)} y") == " ".join(f"x {text} y".split()).replace("`", "'")


@given(st.text())
def test_a_yaml_value_comes_back_as_it_was(text: str) -> None:
    line = yaml_value(text)
    assert "\n" not in line
    assert yaml.safe_load(f"a: {line}\nb: {{c: {line}, d: 1}}\n") == {"a": text, "b": {"c": text, "d": 1}}
