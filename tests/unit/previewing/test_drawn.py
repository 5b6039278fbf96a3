"""The preview's reviews are drawn at random over the file, and the same for the same seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from stages.composition.compose import compose
from stages.composition.params import Params
from stages.composition.small import write_drawn
from stages.preview import prepare
from stages.running.config import ConfigError
from tests.conftest import ROOT

TEXTS = [f"обувь номер {number} как на фото" for number in range(3000)]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    monkeypatch.chdir(tmp_path)
    for name in ("conf", "data"):
        (tmp_path / name).symlink_to(ROOT / name)
    write(TEXTS)
    return compose(Path("params.yaml"), ["data=own", "data.path=own.csv"])


def write(texts: list[str]) -> None:
    pd.DataFrame({"text": texts}).to_csv("own.csv", index=False)


def drawn(params: Params, number: int = 20) -> list[str]:
    write_drawn(params, Path("given"), number)
    return pd.read_parquet("given/reviews.parquet")["text"].to_list()


def test_they_come_from_all_over_the_file_and_each_split_gives_its_share(own: Params) -> None:
    section, pile = write_drawn(own, Path("given"), 100)
    texts = pd.read_parquet(section["path"])["text"]
    places = sorted(TEXTS.index(text) for text in texts)
    assert len(set(texts)) == 100
    # Of a uniform draw the mean is within five of its standard errors.
    assert abs(sum(places) / 100 - 1500) < 5 * 3000 / 12**0.5 / 10
    assert pile.reviews == 3000
    assert abs(pile.train - 2250) < 5 * (3000 * 0.75 * 0.25) ** 0.5
    assert pile.checked == 0


def test_the_seed_alone_decides(own: Params) -> None:
    first = drawn(own)
    assert drawn(own) == first
    write(TEXTS[::-1] + TEXTS[:50])
    assert sorted(drawn(own)) == sorted(first)
    assert set(drawn(replace(own, seed=21))) != set(first)


def test_a_small_file_gives_what_it_has(own: Params) -> None:
    write(TEXTS[:40])
    assert len(drawn(own, 1000)) == 40


def test_too_few_to_be_cut_into_splits_is_refused() -> None:
    with pytest.raises(ConfigError, match="N=3 reviews cannot be cut into splits; preview 4 or more"):
        prepare([], 3)
