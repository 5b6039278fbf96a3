import pandas as pd
import pytest

from stages.common.errors import DataError
from stages.common.partial import open_partial


def write(target, question, *rows):
    """Add parts of one row each, and be interrupted before the end."""

    def interrupted():
        with open_partial(target, question) as partial:
            for row in rows:
                partial.add(pd.DataFrame({"row": [row]}))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()


def left(target, question):
    with open_partial(target, question) as partial:
        assert partial.rows() == sum(len(frame) for frame in partial.frames(2))
        return [row for frame in partial.frames(2) for row in frame["row"]]


def test_the_same_question_goes_on(tmp_path, caplog):
    target, question = tmp_path / "new/out.csv", {"input": "a", "--min-confidence": 0.5}
    write(target, question, 0, 1)
    write(target, question, 2)
    assert left(target, question) == [0, 1, 2]
    assert not caplog.text
    assert not list(target.parent.iterdir())


def test_another_question_starts_over_and_says_what_is_another_one(tmp_path, caplog):
    target = tmp_path / "out.csv"
    write(target, {"input": "a", "model": "m"}, 0, 1)
    write(target, {"input": "b", "model": "m"}, 7)
    assert "out.csv.part is of another input: starting over" in caplog.text
    assert left(target, {"input": "b", "model": "m"}) == [7]


def test_parts_of_an_unknown_question_are_not_taken(tmp_path):
    target = tmp_path / "out.csv"
    write(target, {"input": "a"}, 0)
    (tmp_path / "out.csv.part/state.json").unlink()
    assert left(target, {"input": "a"}) == []


def test_two_processes_do_not_write_the_same_file(tmp_path):
    with (
        open_partial(tmp_path / "out.csv", {}),
        pytest.raises(DataError, match=r"another process writes .*out\.csv"),
        open_partial(tmp_path / "out.csv", {}),
    ):
        pass
