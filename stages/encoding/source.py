"""The encoder in a model's folder."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.common.manifest import check_weights
from stages.running.config import require
from stages.running.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel


class ModelFolder:
    """An ordinary Hugging Face folder; texts are cut to `max_tokens`."""

    def __init__(self, folder: Path, max_tokens: int) -> None:
        """Take the folder.

        Raises:
            ModelError: it holds no model.
        """
        if not (folder / "config.json").is_file():
            raise ModelError(f"{folder} holds no model: config.json is missing; run `dvc repro models`")
        check_weights(folder)
        self.folder = folder
        self.max_tokens = max_tokens

    def encoder(self, dtype: str = "float32") -> PreTrainedModel:
        """The encoder without any head, nor the decoder that some have, with weights of `dtype`."""
        import torch
        from transformers import AutoConfig

        from stages.encoding.quiet import quiet_transformers
        from stages.encoding.sentence_classifier import encoder_class

        quiet_transformers()
        config = AutoConfig.from_pretrained(self.folder)
        encoder: PreTrainedModel = encoder_class(config).from_pretrained(self.folder, dtype=getattr(torch, dtype))
        return encoder

    def write_first_layers(self, layers: int, target: Path) -> None:
        """Write the encoder's first `layers` alone, and the tokenizer, to the folder `target`.

        Raises:
            ConfigError: it has fewer.
        """
        from transformers import AutoConfig, AutoTokenizer

        from stages.encoding.sentence_classifier import encoder_class

        config = AutoConfig.from_pretrained(self.folder)
        keep_layers(config, layers, "distil.layers", self.folder)
        encoder_class(config).from_pretrained(self.folder, config=config).save_pretrained(target)
        AutoTokenizer.from_pretrained(self.folder).save_pretrained(target)

    def ids(self, text: str) -> list[int]:
        """The tokens of `text`."""
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        file = self.folder / "tokenizer.json"
        if file.is_file():
            tokenizer = Tokenizer.from_file(str(file))
        else:
            # Older folders have the tokenizer's vocabulary alone, which transformers knows how to read.
            from transformers import AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(self.folder).backend_tokenizer
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_tokens)
        return tokenizer


def keep_layers(config: Any, layers: int, setting: str, folder: Path) -> None:
    """Let a transformers `config` of the model in `folder` have its first `layers` alone, as `setting` says.

    Raises:
        ConfigError: it has fewer.
    """
    available = config.num_hidden_layers
    require(1 <= layers <= available, f"{setting}={layers}, but {folder} has {available} layers")
    config.num_hidden_layers = layers
    # Gemma's layers are of two kinds, told one by one.
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:layers]
