"""Zero-shot classification by natural-language inference: does the review entail "it belongs to this category"?

Yin et al., EMNLP 2019 (arXiv 1909.00161, sec. 4.2). A sequence classifier over entailment, neutral and contradiction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from stages.llm.backend import Choice, Completion, Sampling, model_identity, model_name
from stages.llm.config import Vllm
from stages.running.errors import BackendError, ModelError


class NliBackend:
    """The model in `folder`, which chooses and cannot write: `label.explanations=none`, and a prompt without reasoning.

    The prompt is the premise, each answer a hypothesis; of a premise that is too long the end is cut off.

    Raises:
        ModelError: the folder holds no such model.
    """

    def __init__(self, folder: Path, engine: Vllm) -> None:
        self.folder = folder
        self.name = model_name(folder)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self.identity = model_identity(folder, "nli", ("torch", "transformers", "tokenizers"), device=self._device)
        labels = {name.lower(): index for index, name in AutoConfig.from_pretrained(folder).id2label.items()}
        if "entailment" not in labels:
            raise ModelError(
                f"{folder} is no model of inference: its labels are {', '.join(labels)}, none is entailment"
            )
        self._entailment = int(labels["entailment"])

    def render(self, user: str, *, thinking: bool = False) -> str:
        """Return the message as it is: there is no chat."""
        return user

    def neutralise(self, text: str) -> str:
        """Return the text without the separators that would end the premise."""
        for token in self._tokenizer.all_special_tokens:
            text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def filler(self, prompts: Sequence[str]) -> str:
        """Nothing."""
        return ""

    def choose(
        self, prompts: Sequence[str], answers: Sequence[str], reasoning: Sampling | None = None
    ) -> Iterator[tuple[int, Choice]]:
        """Yield (index, choice): a softmax over the entailment logits of the answers, as of a single true one.

        `mass` is the probability of entailment of the answer that has most of it: a low one means that none fits.
        """
        if reasoning:
            raise BackendError("label.backend=nli cannot write: choose a prompt without reasoning_prefix, such as nli")
        for index, prompt in enumerate(prompts):
            tokens = self._tokenizer(
                [prompt.strip()] * len(answers),
                list(answers),
                truncation="only_first",
                padding=True,
                return_tensors="pt",
            )
            with torch.inference_mode():
                logits = self._model(**tokens.to(self._model.device)).logits.float()
            entailed = logits.softmax(dim=1)[:, self._entailment]
            logprobs = logits[:, self._entailment].log_softmax(dim=0)
            yield index, Choice("", logprobs.tolist(), float(entailed.max()))

    def complete(self, prompts: Sequence[str], samplings: Sequence[Sampling]) -> Iterator[tuple[int, Completion]]:
        """Refuse.

        Raises:
            BackendError: always.
        """
        raise BackendError("label.backend=nli cannot write: set label.explanations=none")

    @cached_property
    def _tokenizer(self) -> Any:
        return self._loaded(AutoTokenizer)

    @cached_property
    def _model(self) -> Any:
        return self._loaded(AutoModelForSequenceClassification).to(self._device).train(False)

    def _loaded(self, kind: Any) -> Any:
        try:
            return kind.from_pretrained(self.folder)
        except Exception as error:
            reason = " ".join(str(error).split())
            raise ModelError(f"{self.folder}: transformers cannot load it: {reason}; run `dvc repro models`") from error
