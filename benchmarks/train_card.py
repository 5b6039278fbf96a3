"""XLM-RoBERTa-large on this machine's card: training and inference with random weights of its true size.

    python -m benchmarks.train_card [--precisions bf16 fp16 fp32] [--steps 30] [--output card.json]

No weights and no data are fetched: what a step costs depends on shapes alone. Training is `fine_tune` of stage `train`
with the settings of conf/train/xlm-roberta-large.yaml, stopped once enough steps are timed. Reviews are as long as the
sample's, stretched to 58 tokens on average, or all of 256. `--tiny` takes two small layers, to try the script itself.
Beside transformers and accelerate it needs scikit-learn, pandas, pyarrow, pydantic, omegaconf and platformdirs.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
import transformers
from omegaconf import OmegaConf
from tokenizers import Tokenizer, models
from transformers import (
    PreTrainedTokenizerFast,
    TrainerCallback,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

from stages.training.config import Loss, Train
from stages.training.fine_tuning import fine_tune
from stages.training.losses import StudentLoss

CONF = Path("conf/train")
SAMPLE = Path("data/raw/sample/reviews.csv")
LABELS = 9
# Tokens of a review by XLM-RoBERTa's tokenizer: on average, and where training cuts it.
AVERAGE, LONGEST = 58, 256
# Steps before the first that counts: kernels are chosen, memory is taken.
WARM_UP = 8
LARGE = {
    "vocab_size": 250002, "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
    "intermediate_size": 4096,
}  # fmt: skip
TINY = {
    "vocab_size": 1000, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
}  # fmt: skip
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Step:
    """Medians over the steps of a training; the most memory that tensors had, and that was taken from the card.

    Without figures where memory did not suffice, without memory where there is no card.
    """

    lengths: str
    precision: str
    gradient_checkpointing: bool
    ms: float | None = None
    texts_per_second: float | None = None
    padded_tokens: float | None = None
    tensors_gib: float | None = None
    taken_gib: float | None = None


@dataclass(frozen=True)
class Answer:
    """A forward pass of a student in half precision: milliseconds of one review, reviews a second in batches of 64."""

    precision: str
    single_ms: float
    single_p95_ms: float
    batched_per_second: float


class Enough(Exception):
    """Enough steps are timed."""


class Stopwatch(TrainerCallback):
    """Times steps and counts the tokens that the model is given; raises `Enough` after so many."""

    def __init__(self, model: torch.nn.Module, steps: int) -> None:
        self.steps = steps
        self.seconds: list[float] = []
        self.tokens: list[int] = []
        model.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, module: torch.nn.Module, arguments: Any, named: dict[str, Any]) -> None:
        self.tokens.append(named["input_ids"].numel())

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        wait()
        self.start = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        wait()
        self.seconds.append(time.perf_counter() - self.start)
        if len(self.seconds) == WARM_UP + self.steps:
            raise Enough


def main() -> None:
    """Print both tables; write the figures to `--output`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    card = torch.cuda.is_available()
    parser.add_argument(
        "--precisions", nargs="+", choices=DTYPES, default=["bf16", "fp16", "fp32"] if card else ["fp32"]
    )
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    size = TINY if given.tiny else LARGE
    where = torch.cuda.get_device_name() if card else "CPU"
    print(f"{where}, torch {torch.__version__}, transformers {transformers.__version__}", flush=True)
    heading(
        "reviews", "precision", "checkpointing", "ms a step", "reviews/s", "tokens a step", "tensors, GiB", "taken, GiB"
    )
    trained = [
        shown(train_steps(size, lengths, precision, checkpointing, given.steps))
        for precision in given.precisions
        for lengths in ("real", "longest")
        for checkpointing in (False, True)
    ]
    heading("precision", "one review, ms", "95th percentile", "in batches of 64, reviews/s")
    answered = [shown(answers(size, precision, given.steps)) for precision in given.precisions]
    if given.output:
        figures = {"where": where, "train": trained, "answer": answered}
        given.output.write_text(json.dumps(figures, default=dataclasses.asdict, indent=1) + "\n")


def train_steps(size: dict[str, int], lengths: str, precision: str, checkpointing: bool, steps: int) -> Step:
    """Steps of `fine_tune` on reviews of `lengths`: "real" or "longest"."""
    loaded = OmegaConf.to_container(OmegaConf.load(CONF / "xlm-roberta-large.yaml"))
    loss = OmegaConf.to_container(OmegaConf.load(CONF / "loss/weighted_ce.yaml"))
    assert isinstance(loaded, dict)
    assert isinstance(loss, dict)
    del loaded["defaults"]
    settings = Train(
        **{**loaded, "precision": precision, "gradient_checkpointing": checkpointing, "linear_probe": None},
        loss=Loss(**loss),
    )
    rows = [*random_rows(size["vocab_size"], lengths, settings.batch_size * (WARM_UP + steps + 1))]
    names = [str(label) for label in range(LABELS)]
    student_loss = StudentLoss(settings.loss, settings.soft_label_weight, [1] * LABELS, names)
    reset()
    model = random_model(size, torch.float32)
    stopwatch = Stopwatch(model, steps)
    with TemporaryDirectory() as folder:
        try:
            fine_tune(
                model, padder(), rows, rows[:1], student_loss, settings, 7, Path(folder), None, callbacks=[stopwatch]
            )
        except Enough:
            pass
        except torch.OutOfMemoryError:
            return Step(lengths, precision, checkpointing)
    seconds, tokens = stopwatch.seconds[WARM_UP:], stopwatch.tokens[WARM_UP:]
    return Step(
        lengths, precision, checkpointing, 1000 * median(seconds), settings.batch_size * steps / sum(seconds),
        sum(tokens) / steps, *peaks(),
    )  # fmt: skip


@torch.inference_mode()
def answers(size: dict[str, int], precision: str, steps: int) -> Answer:
    """What reviews of real lengths take a student that is asked."""
    reset()
    model = random_model(size, DTYPES[precision]).eval()
    rows = sorted((row["input_ids"] for row in random_rows(size["vocab_size"], "real", 64 * steps)), key=len)
    tokenizer = padder()

    def batch(ids: Sequence[Sequence[int]]) -> Callable[[], Any]:
        inputs = tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(model.device)
        return lambda: model(**inputs).logits.float().cpu()

    single = [timed(batch([[5] * AVERAGE])) for _ in range(WARM_UP + 4 * steps)][WARM_UP:]
    batched = [batch(rows[start : start + 64]) for start in range(0, len(rows), 64)]
    for run in batched:
        run()
    seconds = sum(timed(run) for run in batched)
    return Answer(precision, 1000 * median(single), 1000 * float(np.quantile(single, 0.95)), len(rows) / seconds)


def random_rows(vocabulary: int, lengths: str, count: int) -> Iterator[dict[str, Any]]:
    """Rows of random tokens and labels."""
    random = np.random.default_rng(7)
    characters = pd.read_csv(SAMPLE)["text"].str.len().to_numpy()
    real = np.clip(characters * AVERAGE / characters.mean(), 3, LONGEST).astype(int)
    for length in random.choice(real, count) if lengths == "real" else [LONGEST] * count:
        yield {
            "input_ids": random.integers(5, vocabulary, length).tolist(),
            "attention_mask": [1] * int(length),
            "labels": int(random.integers(LABELS)),
            "soft_labels": [1 / LABELS] * LABELS,
            "weights": 1.0,
        }


def random_model(size: dict[str, int], dtype: torch.dtype) -> XLMRobertaForSequenceClassification:
    """A student with a head over nine labels, on the card if there is one."""
    config = XLMRobertaConfig(
        **size, max_position_embeddings=514, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5, num_labels=LABELS
    )
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        return XLMRobertaForSequenceClassification(config).to(dtype)


def padder() -> PreTrainedTokenizerFast:
    """A tokenizer that can pad, and need not do more: rows are tokens already."""
    words = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="<unk>")), pad_token="<pad>", unk_token="<unk>"
    )


def timed(run: Callable[[], Any]) -> float:
    wait()
    start = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - start


def wait() -> None:
    """Until the card has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def reset() -> None:
    """Free what the last measurement had."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peaks() -> Iterator[float]:
    """Gibibytes that tensors had at most, and that the allocator took of the card; none without one."""
    if torch.cuda.is_available():
        yield torch.cuda.max_memory_allocated() / 2**30
        yield torch.cuda.max_memory_reserved() / 2**30


def heading(*columns: str) -> None:
    """Begin a table."""
    print(f"\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|", flush=True)


def shown(measured: Any) -> Any:
    """`measured`, printed as a row of its table."""
    cells = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in dataclasses.astuple(measured)]
    print(f"| {' | '.join(cells)} |", flush=True)
    return measured


if __name__ == "__main__":
    main()
