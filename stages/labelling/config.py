"""Sections `prompt` and `label`: how the teacher is asked."""

from __future__ import annotations

from stages.running.config import require, require_option, section


@section
class Prompt:
    """A labelling prompt: a Jinja template that sees `labels` and `review`, and the words around the answer.

    `chat` wraps the prompt in the model's chat template, and `thinking` is handed to it as `enable_thinking` (Qwen3);
    without `chat` the model completes the text as it stands, which suits few-shot prompts and small models.
    With a `reasoning_prefix` the model first writes one line of up to `reasoning_tokens` that begins so (one step of
    thought, Wei et al. 2022, arXiv 2201.11903), and chooses the category after it. `demonstrations`: so many of the
    written reviews (`vocabulary.seeds`), those most like the one in question, are `examples` to the template.
    """

    name: str
    template: str
    demonstrations: int = 0
    reasoning_prefix: str
    reasoning_tokens: int
    category_prefix: str
    explanation_prefix: str
    chat: bool
    thinking: bool


@section
class Label:
    """How the teacher labels. `low_confidence` is the probability below which a row gets an explanation.

    `orders`: in how many orders the categories are listed. `samples`: how many further lines of reasoning, drawn at
    `sample_temperature`, are heard where the likeliest category leads by less than `sample_margin`. `content_free`:
    what `calibration=contextual` asks about, reviews without content in the language of the others. `gold_rows`: how
    many of each gold set the teacher is asked, to tell what it is worth itself; None for all.
    """

    backend: str
    orders: int
    samples: int
    sample_margin: float
    sample_temperature: float
    explanations: str
    low_confidence: float
    explanation_tokens: int
    retries: int
    retry_temperature: float
    calibration: str
    content_free: list[str]
    calibration_strength: float
    gold_rows: int | None

    def __post_init__(self) -> None:
        require_option("label.backend", self.backend, ("vllm", "openai", "nli", "scripted"))
        require(self.orders >= 1 and self.samples >= 0, "label.orders must be at least 1, label.samples 0")
        require_option("label.explanations", self.explanations, ("all", "low_confidence", "none"))
        require_option("label.calibration", self.calibration, ("none", "contextual", "batch"))
        contextual = self.calibration == "contextual"
        require(bool(self.content_free) or not contextual, "label.calibration=contextual needs label.content_free")
        require(0 <= self.calibration_strength <= 1, "label.calibration_strength is not within 0…1")
        require(self.gold_rows is None or self.gold_rows >= 1, "label.gold_rows is neither null nor at least 1")
