"""Section `generate`: the three steps and their filters."""

from __future__ import annotations

from stages.running.config import require, require_option, section


@section
class Filters:
    """Thresholds of the filters.

    Lengths in characters; similarities are cosines of sentence embeddings. `script`: the alphabet of the reviews, as
    Unicode names its letters (cyrillic, latin, greek), which at least `min_script_share` of the letters are of.
    `assistant_talk`, `injection`: files of patterns (`patterns.read_patterns`). `min_noted_share`: how many of the
    words of its notes a text must have, unchanged. `dictionary`: the language whose words a text must be made of (ru or
    uk: those that pymorphy3 has), null for any. `readers` say which category a text is of: `both` who labelled the real
    reviews, teacher and second opinion, or the `second_opinion` alone.
    """

    min_chars: int
    max_chars: int
    script: str
    min_script_share: float
    assistant_talk: str
    injection: str
    min_noted_share: float
    dictionary: str | None
    max_copied_words: int
    max_similarity: float
    readers: str
    relabel_policy: str
    relabel_confidence: float

    def __post_init__(self) -> None:
        require_option("generate.filters.relabel_policy", self.relabel_policy, ("drop", "relabel", "keep"))
        require_option("generate.filters.readers", self.readers, ("both", "second_opinion"))
        require_option("generate.filters.dictionary", str(self.dictionary), ("ru", "uk", "None"))
        require(self.min_chars <= self.max_chars, "generate.filters.min_chars exceeds generate.filters.max_chars")
        require(self.max_copied_words >= 1, "generate.filters.max_copied_words must be 1 or more")


@section
class Step:
    """One generation step: the Jinja prompt, how it is asked, and the sampling. `candidates` per wanted row.

    `min_mean_logprob` is what the generator must think of its own text, in nats a token; null for no such filter.
    """

    template: str
    candidates: float
    temperature: float
    top_p: float
    repetition_penalty: float
    max_tokens: int
    examples: int
    min_mean_logprob: float | None


@section
class Generate:
    """Three-step generation by a model behind `backend`.

    `mode`: `completion` (raw few-shot text) or `chat` (the model's chat template).
    """

    backend: str
    mode: str
    stop: list[str]
    filters: Filters
    base: Step
    paraphrase: Step
    style: Step

    def __post_init__(self) -> None:
        require_option("generate.backend", self.backend, ("vllm", "openai", "scripted"))
        require_option("generate.mode", self.mode, ("completion", "chat"))
