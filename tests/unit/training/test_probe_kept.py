"""Of the linear probe and the epochs after it the best one is kept."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from datasets import DatasetDict

from stages.inference.features import compute_head_inputs
from stages.inference.head import Head
from stages.training.config import Train
from stages.training.encoder import Encoder
from stages.training.learning import Rows, probe
from stages.training.rows import targets
from stages.training.validation import validation_scores
from tests.unit.training.test_training import Interruption, run


def destructive(settings: Train) -> Train:
    """A learning rate that leaves nothing of the encoder, after a probe that knows the reviews."""
    return dataclasses.replace(settings, linear_probe=1.0, learning_rate=3.0, head_learning_rate=3.0)


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_collapse_leaves_the_probe_on_the_encoder_as_it_was(
    interrupted: bool,
    encoders: dict[str, Path],
    splits: DatasetDict,
    train_settings: Train,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = destructive(train_settings)
    if interrupted:
        with pytest.raises(KeyboardInterrupt):
            run(encoders["xlm-roberta"], splits, settings, tmp_path, Interruption(step=24))
    model, result = run(encoders["xlm-roberta"], splits, settings, tmp_path)
    assert (result.best_epoch, result.resumed_from_epoch) == (0, 2 if interrupted else 0)

    encoder = Encoder(encoders["xlm-roberta"], splits["train"].features["label"].names, settings, seed=7)
    before, tokenizer = encoder.student()
    weights = model.state_dict()
    for name, value in before.state_dict().items():
        assert name.startswith("classifier.out_proj") or torch.equal(weights[name], value), name
    rows = Rows(splits["train"], splits["validation"], splits["validation"])
    head, _ = probe(encoder, rows, settings, bias=True)
    torch.testing.assert_close(weights["classifier.out_proj.weight"] * result.temperature, head.weight)
    # Its score is its own, and better than that of any epoch.
    given = compute_head_inputs(model, tokenizer, splits["validation"]["text"][:], 4)
    labels = targets(splits["validation"]).labels
    assert validation_scores(Head.of(model).logits(given), labels)["macro_f1"] == result.macro_f1
    curve = (tmp_path / "curves/plots/metrics/validation/macro_f1.tsv").read_text().split()[2:]
    assert curve[:2] == ["0", str(result.macro_f1)]
    assert len(curve) == 2 * (1 + settings.epochs)
    assert max(map(float, curve[3::2])) < result.macro_f1
    best = json.loads((tmp_path / "curves/metrics.json").read_text())["best"]
    assert best == {"epoch": 0, "macro_f1": result.macro_f1}
    assert "no epoch is better than the linear probe" in caplog.text


def test_an_epoch_that_is_better_than_the_probe_is_kept(
    encoders: dict[str, Path], splits: DatasetDict, train_settings: Train, tmp_path: Path
) -> None:
    # So strict a penalty leaves a head that knows next to nothing.
    settings = dataclasses.replace(train_settings, linear_probe=1e-6, epochs=6)
    _, result = run(encoders["xlm-roberta"], splits, settings, tmp_path)
    assert result.best_epoch > 0
    curve = (tmp_path / "curves/plots/metrics/validation/macro_f1.tsv").read_text().split()[3::2]
    assert result.macro_f1 == max(map(float, curve)) > float(curve[0])


def test_without_a_probe_there_is_none_to_keep(
    encoders: dict[str, Path], splits: DatasetDict, train_settings: Train, tmp_path: Path
) -> None:
    _, result = run(encoders["xlm-roberta"], splits, dataclasses.replace(train_settings, learning_rate=3.0), tmp_path)
    assert result.best_epoch > 0
    assert "\n0\t" not in (tmp_path / "curves/plots/metrics/validation/macro_f1.tsv").read_text()
