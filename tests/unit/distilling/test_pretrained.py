"""A tiny random encoder that learns vectors, and what an interruption may not change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from stages.distilling.config import Distil
from stages.distilling.pretrained import learn
from stages.distilling.texts import Texts
from stages.encoding.means import TokenMeans
from stages.encoding.source import ModelFolder
from stages.running.errors import ConfigError
from stages.training.trainer import StepProgress
from tests.students import REVIEWS

SETTINGS = Distil(
    into="student", layers=None, lowercase=True, words=99, texts=99, epochs=8, batch_size=4, learning_rate=0.003
)
WEIGHTS = "model.safetensors"


@pytest.fixture
def lessons() -> tuple[Texts, Texts]:
    """What a large encoder would say: a vector of the review's kind, and the rest of no meaning."""
    random = np.random.default_rng(0)
    kinds = {kind: random.normal(size=6) for kind in REVIEWS}
    train = [(f"{text} {other}", kinds[kind]) for kind, texts in REVIEWS.items() for text in texts for other in texts]
    validation = [(text, kinds[kind]) for kind, texts in REVIEWS.items() for text in texts]
    return tuple(  # type: ignore[return-value]
        Texts([text for text, _ in part], np.stack([vector for _, vector in part]).astype(np.float32))
        for part in (train, validation)
    )


def test_it_comes_near_the_vectors_and_is_an_encoder_like_any_other(lessons, encoders, tmp_path):
    train, validation = lessons
    learnt = learn(ModelFolder(encoders["bert"], 16), train, validation, SETTINGS, 0, tmp_path / "new", tmp_path / "c")
    # The mean of all vectors would leave all of the variance.
    assert learnt.error < 0.3
    assert 1 <= learnt.epoch <= SETTINGS.epochs
    new = ModelFolder(tmp_path / "new", 16)
    given = TokenMeans("here", "mean", new).of(["туфли малы", "кеды малы", "заказ не пришёл"])
    assert given.shape == (3, 32)
    assert np.linalg.norm(given[0] - given[1]) < np.linalg.norm(given[0] - given[2])
    # Word vectors stay as they are.
    before, after = load_file(encoders["bert"] / WEIGHTS), load_file(tmp_path / "new" / WEIGHTS)
    table = "embeddings.word_embeddings.weight"
    np.testing.assert_array_equal(before[table], after[table])
    assert any(not np.array_equal(before[name], after[name]) for name in before)


def test_an_encoder_may_have_its_first_layers_alone(lessons, encoders, tmp_path):
    whole = ModelFolder(encoders["bert"], 16)
    whole.write_first_layers(1, tmp_path / "cut")
    learn(ModelFolder(tmp_path / "cut", 16), *lessons, SETTINGS, 0, tmp_path / "new", tmp_path / "c")
    before, after = load_file(encoders["bert"] / WEIGHTS), load_file(tmp_path / "new" / WEIGHTS)
    kept, lost = "encoder.layer.0.", "encoder.layer.1."
    assert any(name.startswith(lost) for name in before)
    assert {name for name in after if name.startswith("encoder.")} == {name for name in before if name.startswith(kept)}
    assert ModelFolder(tmp_path / "new", 16).ids("туфли малы") == whole.ids("туфли малы")
    with pytest.raises(ConfigError, match=r"distil.layers=3, but .* has 2 layers"):
        whole.write_first_layers(3, tmp_path / "cut")


def test_a_resumed_run_ends_as_an_uninterrupted_one(lessons, encoders, tmp_path, monkeypatch):
    def run(name: str) -> dict[str, np.ndarray]:
        source, folder = ModelFolder(encoders["bert"], 16), tmp_path / name
        learn(source, *lessons, SETTINGS, 0, folder / "new", folder / "checkpoints")
        return load_file(folder / "new" / WEIGHTS)

    straight = run("straight")
    count = StepProgress.on_step_end

    def interrupt(self, args, state, control, **kwargs):
        count(self, args, state, control, **kwargs)
        if state.global_step == 100:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(StepProgress, "on_step_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run("broken")
    steps: list[int] = []
    monkeypatch.setattr(
        StepProgress, "on_step_end", lambda self, args, state, control, **_: steps.append(state.global_step)
    )
    resumed = run("broken")
    assert steps[0] > 1
    assert all(np.array_equal(straight[name], resumed[name]) for name in straight)


def test_an_encoder_with_a_decoder_learns_alone(lessons, encoders, tmp_path: Path):
    settings = replace(SETTINGS, epochs=1)
    learn(ModelFolder(encoders["t5"], 16), *lessons, settings, 0, tmp_path / "new", tmp_path / "c")
    assert (tmp_path / "new" / WEIGHTS).is_file()
