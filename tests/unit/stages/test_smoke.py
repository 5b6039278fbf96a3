"""The smoke run is the user's own configuration, but small, and leaves alone what the user has."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from omegaconf import OmegaConf
from safetensors.numpy import save_file

from stages.composition.compose import compose
from stages.composition.params import Params, load_all
from stages.composition.small import capped, located
from stages.running.config import read
from stages.running.errors import ConfigError, DataError
from stages.running.io import read_json
from stages.smoke import WORKSPACE, prepare
from stages.vocabulary.vocabulary import read_vocabulary
from tests.conftest import ROOT

OVERRIDES = {
    **{path.stem: f"profile={path.stem}" for path in sorted((ROOT / "conf/profile").glob("*.yaml"))},
    **{path.stem: f"experiment={path.stem}" for path in sorted((ROOT / "conf/experiment").glob("*.yaml"))},
    "fast": "student=fast",
    "fastest": "student=fastest",
}
TEXTS = [f"=обувь номер {number} как на фото" for number in range(60)]
CHECKED = [f"посуда номер {number}" for number in range(50)]


def small(params: Path) -> Params:
    """The configuration at `params` as the smoke run has it, but for its reviews."""
    settings = capped(read(params), read(ROOT / "conf/smoke.yaml"))
    target = params.with_name("small.yaml")
    target.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    return load_all(target)


@pytest.mark.parametrize("name", OVERRIDES)
def test_every_profile_keeps_its_models_and_its_engine(name: str, tmp_path: Path) -> None:
    whole = compose(tmp_path / "params.yaml", [OVERRIDES[name]], ROOT / "conf")
    made = small(tmp_path / "params.yaml")
    assert made.train.epochs == min(whole.train.epochs, 1)
    assert made.plan.wanted <= 3
    # All but what is named as small.
    steps = {step: replace(getattr(whole.generate, step), candidates=0.0) for step in ("base", "paraphrase", "style")}
    assert replace(made.generate, **steps) == replace(whole.generate, **steps)
    assert replace(made.train, epochs=whole.train.epochs) == whole.train
    kept = ("models", "vllm", "prompt", "label", "embed", "curate", "vocabulary", "labels", "seed", "export", "answer")
    for part in kept:
        assert getattr(made, part) == getattr(whole, part)


def test_numbers_set_by_hand_for_classes_are_small_too() -> None:
    assert capped({"plan": {"override": {"обувь": 500, "посуда": 0}}}, {"plan": {"override": 3}}) == {
        "plan": {"override": {"обувь": 3, "посуда": 0}}
    }


@pytest.fixture
def unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository without Git, with results, and with files of a user's beside it and in it."""
    folder = tmp_path / "here"
    for name in ("stages", "conf", "annotations", "data/raw"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "dvc.lock", ".dvc/config", ".dvcignore"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / ".dvc/config.local").write_text("[core]\n    no_scm = true\n")
    (folder / "metrics").mkdir()
    (folder / "metrics/summary.json").write_text("{}")
    (folder / "my files").mkdir()
    pd.DataFrame({"review": TEXTS}).to_csv(folder / "my files/отзывы(1).csv", sep=";", index=False)
    pd.DataFrame({"text": CHECKED, "label": "посуда"}).to_csv(folder / "my files/gold.csv", index=False)
    shutil.copy(folder / "data/raw/vocabulary/seeds.csv", tmp_path / "seeds.csv")
    monkeypatch.chdir(folder)
    compose(Path("params.yaml"), [])
    return folder


OWN = [
    "data=own", "data.path=my files/отзывы(1).csv", "data.text_column=review", "data.gold.folder=my files",
    "+data.gold.sets.mine=gold.csv", "vocabulary.seeds=../seeds.csv",
]  # fmt: skip


def dvc(folder: Path, *arguments: str) -> str:
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(folder)}
    done = subprocess.run(["dvc", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def digests(folder: Path) -> dict[str, str]:
    """Of every file of the user's."""
    # DVC adds to its cache, by content.
    others = {WORKSPACE.name, "tmp", "cache", "__pycache__"}
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return {
        str(path): hashlib.sha256((folder / path).read_bytes()).hexdigest()
        for path in files
        if not others & set(path.parts)
    }


def test_twenty_of_the_users_reviews_in_a_repository_of_its_own(unpacked: Path) -> None:
    before = digests(unpacked)
    prepare(OWN)
    dvc(unpacked / WORKSPACE, "repro", "ingest")
    counts = read_json(unpacked / WORKSPACE / "data/ingest/counts.json")
    assert counts["splits"] == {"train": 14, "validation": 3, "test": 3}
    assert counts["gold"] == {"mine": 2}
    reviews = pd.read_parquet(unpacked / WORKSPACE / "data/ingest/reviews.parquet")
    assert set(reviews["text"]) <= set(TEXTS)
    # A second time, everything is known.
    prepare(OWN)
    assert "Running" not in dvc(unpacked / WORKSPACE, "repro", "ingest")
    assert digests(unpacked) == before
    assert WORKSPACE.name not in dvc(unpacked, "stage", "list", "--all")


def test_weights_are_converted_once_for_both_runs(unpacked: Path) -> None:
    folder = unpacked.parent / "tiny"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    save_file({"weight": np.zeros(3)}, folder / "model.safetensors")
    compose(Path("params.yaml"), ["experiment=tiny", *OWN, f"models.teacher.path={folder}"])
    (unpacked / "dvc.lock").unlink()
    prepare([])
    assert "Running stage 'models@teacher'" in dvc(unpacked / WORKSPACE, "repro", "models@teacher")
    told = dvc(unpacked, "repro", "models@teacher")
    assert "Stage 'models@teacher' is cached - skipping run, checking out outputs" in told


def test_without_settings_it_takes_params_yaml_as_it_is(unpacked: Path) -> None:
    compose(Path("params.yaml"), [*OWN, "train.learning_rate=3e-5"])
    prepare([])
    made = load_all(WORKSPACE / "params.yaml")
    assert made.train.learning_rate == 3e-5
    assert made.data.gold.sets == {"mine": "0.parquet"}
    assert made.data.gold.calibration is None


def test_the_sample_and_its_checked_rows(unpacked: Path) -> None:
    prepare([])
    given = WORKSPACE / "given"
    assert len(pd.read_parquet(given / "reviews.parquet")) == 20
    for name in ("0", "calibration"):
        checked = pd.read_parquet(given / f"gold/{name}.parquet")
        assert set(checked["label"].value_counts()) == {2}
        assert checked["label"].nunique() == 9


def test_a_few_words_of_each_category(unpacked: Path) -> None:
    prepare([])
    whole, made = load_all(Path("params.yaml")), load_all(WORKSPACE / "params.yaml")
    every, few = (read_vocabulary(params.vocabulary, params.labels.names) for params in (whole, made))
    assert set(few.seeds["label"].value_counts()) == {3}
    assert set(few.seeds["text"]) < set(every.seeds["text"])
    assert few.manner == every.manner
    for label, products in every.products.items():
        assert [*few.products[label].items()] == [*products.items()][:3]


def test_every_named_file_is_found_from_there(unpacked: Path) -> None:
    compose(Path("params.yaml"), OWN)
    settings = read(Path("params.yaml"))
    found = OmegaConf.create(located(settings, unpacked / "some/where"))
    for key in ("prompt.template", "generate.style.template", "generate.filters.injection", "vocabulary.attributes"):
        assert OmegaConf.select(found, key) == str(unpacked / OmegaConf.select(OmegaConf.load("params.yaml"), key))
    assert found.vocabulary.seeds == str(unpacked.parent / "seeds.csv")
    assert found.models.teacher.wheels == str(unpacked / "conf/models/wheels/qwen2.5-coder-0.5b.yaml")
    # Whence it is the same file, the stage is the same to DVC.
    WORKSPACE.mkdir()
    (WORKSPACE / "conf").symlink_to(unpacked / "conf")
    found = OmegaConf.create(located(settings, WORKSPACE))
    assert found.models == OmegaConf.create(settings["models"])
    assert found.vocabulary.seeds == str(unpacked.parent / "seeds.csv")


@pytest.mark.parametrize(
    ("overrides", "error"),
    [
        (["data=own", "data.path=no.csv"], DataError),
        (["train.epochs=-1"], ConfigError),
        (["experiment=no"], ConfigError),
    ],
)
def test_what_a_whole_run_would_stop_at_stops_this_one(overrides: list[str], error: type, unpacked: Path) -> None:
    with pytest.raises(error):
        prepare(overrides)
    assert not WORKSPACE.exists()


def test_two_usable_reviews_are_too_few_here_too(unpacked: Path) -> None:
    Path("few.csv").write_text("text\nплатье село\nкофта мала\n", encoding="utf-8")
    with pytest.raises(DataError, match="2 of 2 rows are usable, too few"):
        prepare(["data=own", "data.path=few.csv"])
