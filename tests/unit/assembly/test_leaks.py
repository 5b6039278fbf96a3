import pandas as pd
import pytest

from stages.assembly.leaks import check_leaks
from stages.running.errors import DataError

ROWS = pd.DataFrame({"text": ["Ещё берём!", "тёплый плед"], "split": ["train", "validation"]})


@pytest.mark.parametrize("text", ["еще берем", "Ещё берём", "ЕЩЕ-БЕРЁМ"])
def test_a_checked_text_in_train_is_a_leak_with_yo_or_without(text):
    with pytest.raises(DataError, match="1 rows stand in a checked file too, first 'Ещё берём!'"):
        check_leaks(ROWS, pd.DataFrame({"text": [text]}))


def test_a_text_in_two_splits_is_a_leak_with_yo_or_without():
    with pytest.raises(DataError, match="1 texts stand in more than one split, first 'тёплый плед'"):
        check_leaks(
            pd.concat([ROWS, pd.DataFrame({"text": ["теплый плед"], "split": ["train"]})]), pd.DataFrame({"text": []})
        )


def test_other_texts_are_none():
    check_leaks(ROWS, pd.DataFrame({"text": ["ещё берем два"]}))
