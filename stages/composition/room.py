"""Whether the longest prompts that a configuration can make leave room for their answers, before a model is there."""

from __future__ import annotations

from stages.common.templates import load_template
from stages.composition.params import Params
from stages.vocabulary.vocabulary import Vocabulary

# Characters a token of Qwen's vocabulary: of our prompts, which are Russian with some Markdown, at the least (measured:
# 2.33 to 2.54); of the sample's reviews on average, and of the worst of them. Other alphabets may have fewer.
PROMPT, REVIEW, WORST_REVIEW = 2.3, 2.5, 1.33
# What the chat template adds, the line before the answer, the longest name of a category, and the filler.
AROUND = 80


def label_tokens(params: Params, vocabulary: Vocabulary, characters_a_token: float = WORST_REVIEW) -> int:
    """Tokens that labelling a review of `data.max_chars` comes to, with the line before the answer and after it."""
    prompt = params.prompt
    seeds = vocabulary.seeds.sort_values("text", key=lambda texts: texts.str.len())
    examples = seeds.tail(prompt.demonstrations).to_dict("records") if prompt.demonstrations else []
    fixed = load_template(prompt.template, str).render(labels=params.labels.names, review="", examples=examples)
    written = prompt.reasoning_tokens if prompt.reasoning_prefix else 0
    if params.label.explanations != "none":
        written += params.label.explanation_tokens
    return round(len(fixed) / PROMPT + params.data.max_chars / characters_a_token) + AROUND + written


def too_long(params: Params, vocabulary: Vocabulary) -> str:
    """A warning that reviews within `data.max_chars` may be refused; empty where all of them fit, and without vLLM."""
    limit = params.vllm.max_model_len
    most = label_tokens(params, vocabulary)
    if params.label.backend != "vllm" or most <= limit:
        return ""
    usual = label_tokens(params, vocabulary, REVIEW)
    how_many = "many a review" if usual > limit else "a review of rare letters"
    return (
        f"{how_many} of data.max_chars={params.data.max_chars} will not fit: with prompt={params.prompt.name} it is "
        f"about {usual} tokens, at worst {most}, and vllm.max_model_len={limit}; what does not fit is set aside. Lower "
        "data.max_chars, or raise vllm.max_model_len (and vllm.max_num_batched_tokens to no less)"
    )
