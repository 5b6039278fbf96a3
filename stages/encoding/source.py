"""The encoder in a model's folder."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from stages.common.errors import ModelError
from stages.common.manifest import check_weights

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
