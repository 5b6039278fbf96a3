"""The real reviews in a folder `shared/case` beside the checkout, which are not part of the repository."""

import pandas as pd
import pytest

import stages.ingest
from stages.common.texts import letters
from stages.compose import compose
from stages.ingestion.cleaning import clean
from stages.running.io import read_json
from tests.conftest import ROOT

CASE = ROOT.parent / "shared/case"


@pytest.mark.case
@pytest.mark.skipif(not CASE.is_dir(), reason="needs the real reviews in shared/case beside the checkout")
def test_no_checked_review_is_among_those_that_are_learnt_from(tmp_path, monkeypatch):
    (tmp_path / "checkout").mkdir()
    (tmp_path / "shared").symlink_to(CASE.parent)
    (tmp_path / "checkout/data").mkdir()
    (tmp_path / "checkout/data/raw").symlink_to(ROOT / "data/raw")
    monkeypatch.chdir(tmp_path / "checkout")
    compose(tmp_path / "checkout/params.yaml", ["data=case"], ROOT / "conf")
    stages.ingest.main()
    # Whatever a run labels, curates or trains on comes from this table.
    reviews = {letters(text) for text in pd.read_parquet("data/ingest/reviews.parquet")["text"]}
    assert len(reviews) == read_json(tmp_path / "checkout/data/ingest/counts.json")["rows_out"] > 1000
    for name in ("gold_dev", "rare"):
        file = pd.read_csv(CASE / f"{name}.csv", keep_default_na=False)
        checked = {letters(clean(text)) for text in file.loc[file["label"] != "", "text"]}
        assert len(checked) > 100
        assert not reviews & checked
