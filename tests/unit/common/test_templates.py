"""Prompts: what is wrong with a file is said, and what every prompt holds is known."""

import pytest

from stages.common.errors import ConfigError
from stages.common.templates import load_template


def test_a_missing_or_malformed_file(tmp_path):
    with pytest.raises(ConfigError, match=r"no\.jinja does not exist"):
        load_template(str(tmp_path / "no.jinja"))
    (tmp_path / "a.jinja").write_text("{{ review")
    with pytest.raises(ConfigError, match=r"a\.jinja, line 1"):
        load_template(str(tmp_path / "a.jinja"))


def test_an_unknown_name(tmp_path):
    (tmp_path / "a.jinja").write_text("{{ review }} {{ lables }}")
    with pytest.raises(ConfigError, match=r"a\.jinja: 'lables' is undefined; a prompt may use labels, review"):
        load_template(str(tmp_path / "a.jinja")).render(labels=[], review="да")


def test_the_examples_of_a_prompt_are_known(tmp_path):
    (tmp_path / "two.jinja").write_text("Двое говорят.\n\nОдин: {{ source }}\nДругой: крышка болтается\n")
    template = load_template(str(tmp_path / "two.jinja"))
    assert template.variables == {"source"}
    assert template.shown_texts() == ["Двое говорят.", "крышка болтается"]
