"""Every file of `conf/train/loss/` names a loss and a scheme that exist."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from stages.training.config import Loss
from stages.training.losses import StudentLoss

CONF = Path(__file__).parents[3] / "conf/train/loss"


@pytest.mark.parametrize("name", sorted(path.stem for path in CONF.glob("*.yaml")))
def test_loss_files_make_a_loss(name: str) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        settings = OmegaConf.to_container(compose(name))
    assert isinstance(settings, dict)
    StudentLoss(Loss(**{str(key): value for key, value in settings.items()}), 0.5, [3, 1], ["обувь", "одежда"])
