"""A winner's settings, which `dvc exp apply` puts into params.yaml alone, become those of conf/."""

import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from stages.composition.compose import compose
from stages.composition.params import load_all
from stages.composition.promote import promote
from stages.running.errors import ConfigError
from tests.conftest import ROOT


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    return tmp_path / "conf"


@pytest.mark.parametrize(
    "overrides",
    [
        ["prompt=strict", "train/loss=focal", "train.learning_rate=2e-5"],
        ["experiment=large_teacher", "train.epochs=3"],
        ["models/teacher=qwen3-14b", "profile=gpu"],
        ["data=own", "data.path=mine.csv"],
        ["train/loss=by_hand"],
    ],
)
def test_conf_then_composes_what_won(overrides: list[str], conf: Path, tmp_path: Path) -> None:
    # Hydra takes no Cyrillic key on the command line, so weights by hand are an option of the group.
    weights = "defaults: [weighted_ce, _self_]\nclass_weights: {посуда: 3.0, обувь: 2.0}\n"
    (conf / "train/loss/by_hand.yaml").write_text(weights, encoding="utf-8")
    params = tmp_path / "params.yaml"
    compose(params, overrides, conf)
    winner = load_all(params)
    overlay = promote("winner", params, conf)
    assert load_all(params) == winner
    compose(tmp_path / "again.yaml", [], conf)
    assert (tmp_path / "again.yaml").read_text() == params.read_text()
    assert overlay.read_text().startswith("# @package _global_\n")


def test_only_what_differs_is_written(conf: Path, tmp_path: Path) -> None:
    compose(tmp_path / "params.yaml", ["train.epochs=9"], conf)
    overlay = promote("longer", tmp_path / "params.yaml", conf)
    assert OmegaConf.load(overlay) == {"train": {"epochs": 9}}
    before = (ROOT / "conf/config.yaml").read_text().replace("experiment: none", "experiment: longer")
    assert (conf / "config.yaml").read_text() == before


def test_a_second_winner_takes_the_place_of_the_first(conf: Path, tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    compose(params, ["train.epochs=9"], conf)
    promote("first", params, conf)
    compose(params, ["seed=7"], conf)
    promote("second", params, conf)
    assert (load_all(params).train.epochs, load_all(params).seed) == (9, 7)


def test_what_an_overlay_cannot_say_is_refused_and_nothing_changes(conf: Path, tmp_path: Path) -> None:
    given = OmegaConf.load(ROOT / "params.yaml")
    given.models.pop("embedder")
    OmegaConf.save(given, tmp_path / "params.yaml")
    with pytest.raises(ConfigError, match="models"):
        promote("winner", tmp_path / "params.yaml", conf)
    assert not (conf / "experiment/winner.yaml").exists()
    assert (conf / "config.yaml").read_text() == (ROOT / "conf/config.yaml").read_text()


@pytest.mark.parametrize(
    ("name", "message"), [("ci", "exists"), ("../x", "lower-case"), ("winner", "nothing to promote")]
)
def test_refusals_say_why(name: str, message: str, conf: Path, tmp_path: Path) -> None:
    compose(tmp_path / "params.yaml", [], conf)
    with pytest.raises(ConfigError, match=message):
        promote(name, tmp_path / "params.yaml", conf)
