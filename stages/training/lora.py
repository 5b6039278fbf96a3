"""LoRA (Hu et al. 2021, arXiv 2106.09685): low-rank updates are learnt beside frozen layers, then added to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from stages.running.config import require
from stages.training.config import Lora
from stages.training.student import head_parameters

if TYPE_CHECKING:
    from peft import LoraModel
    from transformers import PreTrainedModel


def add_updates(model: PreTrainedModel, lora: Lora) -> LoraModel:
    """Freeze the encoder of `model` and put updates, which change nothing yet, beside its linear layers.

    What starts untrained (see `head_parameters`) is trained whole, as ever. Updates start from torch's global random
    state; `merge_and_unload` of what is returned adds them to the weights, in place, and leaves the encoder as it was
    made.

    Raises:
        ConfigError: the encoder has no linear layer of the name of one of `lora.targets`.
    """
    # Imported here: it takes a second.
    from peft import LoraConfig, LoraModel

    encoder = model.base_model
    untrained = head_parameters(model)
    layers = [
        name
        for name, module in encoder.named_modules()
        if isinstance(module, nn.Linear) and f"{model.base_model_prefix}.{name}.weight" not in untrained
    ]
    names = {name: name.rsplit(".", 1)[-1] for name in layers}
    known = sorted(set(names.values()))
    for target in lora.targets or []:
        require(target in known, f"train.lora.targets: no linear layer is called {target!r}; there are {known}")
    chosen = [name for name in layers if lora.targets is None or names[name] in lora.targets]
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=chosen)  # type: ignore[arg-type]
    updates = LoraModel(encoder, config, "default")
    for name, parameter in model.named_parameters():
        if name in untrained:
            parameter.requires_grad_(True)
    return updates
