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

    def encoder(self) -> PreTrainedModel:
        """The encoder without any head, in fp32."""
        import torch
        from transformers import AutoModel

        import stages.encoding.static_encoder  # noqa: F401  # transformers learns of its architecture
        from stages.encoding.quiet import quiet_transformers

        quiet_transformers()
        encoder: PreTrainedModel = AutoModel.from_pretrained(self.folder, dtype=torch.float32)
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
