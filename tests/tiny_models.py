"""Random models of the architectures that profiles name, seconds to make: `python -m tests.tiny_models data/tiny`.

What they answer means nothing. They take the roads that the real ones take: vLLM's Qwen3, a chat template that knows
`enable_thinking`, XLM-RoBERTa's positions and vocabulary, a sentence-transformers folder with its own pooling.
Tokenizers are trained on the shipped reviews, so that a review is as many tokens as it is for the real ones, or so.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5EncoderModel,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
    XLMRobertaModel,
)

ROOT = Path(__file__).parents[1]
# What Qwen3's template makes of user messages: with thinking off, the answer begins after an empty block of thoughts.
CHAT_TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% if enable_thinking is defined and enable_thinking is false -%}
<think>

</think>

{% endif -%}
{%- endif -%}
"""
SIZE = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}


def make_all(folder: Path) -> None:
    """Write each of `MODELS` into a folder of its name in `folder`."""
    texts = sample_texts()
    for name, make in MODELS.items():
        torch.manual_seed(0)
        make(folder / name, texts)


def sample_texts() -> list[str]:
    """The shipped reviews, and the prompts around them."""
    reviews = [pd.read_csv(path)["text"] for path in sorted((ROOT / "data/raw/sample").glob("*.csv"))]
    prompts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "conf").rglob("*.jinja"))]
    return [*pd.concat(reviews), *prompts]


def qwen3(folder: Path, texts: list[str]) -> None:
    """Qwen3ForCausalLM: grouped-query attention with normalised queries and keys, a head size of its own.

    Weights are large enough for the answer to depend on the review.
    """
    rules = Tokenizer(models.BPE())
    rules.normalizer = normalizers.NFC()
    rules.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rules.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    rules.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=3000, special_tokens=special, initial_alphabet=alphabet)
    )
    rules.add_tokens(["<think>", "</think>"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=rules, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.chat_template = CHAT_TEMPLATE
    config = Qwen3Config(
        **SIZE, num_key_value_heads=1, head_dim=32, vocab_size=len(tokenizer), max_position_embeddings=4096,
        tie_word_embeddings=False, bos_token_id=0, eos_token_id=2, initializer_range=0.3,
    )  # fmt: skip
    save(folder, Qwen3ForCausalLM(config), tokenizer)


def xlm_roberta(folder: Path, texts: list[str]) -> None:
    """XLMRobertaForMaskedLM as it is published; a student is loaded from it as XLMRobertaForSequenceClassification."""
    tokenizer = unigram_tokenizer(texts, ["<s>", "<pad>", "</s>", "<unk>"], "<s>", "</s>")
    config = XLMRobertaConfig(
        **SIZE, vocab_size=len(tokenizer), max_position_embeddings=514, type_vocab_size=1, pad_token_id=1,
        layer_norm_eps=1e-5,
    )  # fmt: skip
    save(folder, XLMRobertaForMaskedLM(config), tokenizer)


def nli(folder: Path, texts: list[str]) -> None:
    """DebertaV2ForSequenceClassification over the three answers of natural-language inference."""
    tokenizer = unigram_tokenizer(texts, ["[PAD]", "[CLS]", "[SEP]", "[UNK]"], "[CLS]", "[SEP]")
    config = DebertaV2Config(
        **SIZE, vocab_size=len(tokenizer), max_position_embeddings=512, pad_token_id=0, relative_attention=True,
        position_buckets=256, norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type=["p2c", "c2p"],
        position_biased_input=False, type_vocab_size=0,
        id2label={0: "entailment", 1: "neutral", 2: "contradiction"},
        label2id={"entailment": 0, "neutral": 1, "contradiction": 2},
    )  # fmt: skip
    save(folder, DebertaV2ForSequenceClassification(config), tokenizer)


def sbert(folder: Path, texts: list[str]) -> None:
    """BertModel with a sentence-transformers description that pools by the mean."""
    rules = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    rules.normalizer = normalizers.BertNormalizer(lowercase=True)
    rules.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    rules.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    rules.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=3000, special_tokens=special))
    rules.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=rules, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", model_max_length=512,
    )  # fmt: skip
    save(folder, BertModel(BertConfig(**SIZE, vocab_size=len(tokenizer))), tokenizer)
    describe_pooling(folder, "mean")


def frida(folder: Path, texts: list[str]) -> None:
    """T5EncoderModel with gated GELU and a description that pools by the first token; BPE, no word for the padding."""
    rules = Tokenizer(models.BPE(unk_token="<unk>"))
    rules.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rules.decoder = decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>", "<unk>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    rules.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=3000, special_tokens=special, initial_alphabet=alphabet)
    )
    rules.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 1), add_prefix_space=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=rules, bos_token="<s>", cls_token="<s>", eos_token="</s>", sep_token="</s>", unk_token="<unk>",
        pad_token="<pad>", model_max_length=512,
    )  # fmt: skip
    config = T5Config(
        vocab_size=len(tokenizer), d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=2,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False, pad_token_id=0, eos_token_id=2,
        decoder_start_token_id=0,
    )  # fmt: skip
    save(folder, T5EncoderModel(config), tokenizer)
    describe_pooling(folder, "cls")


def e5_instruct(folder: Path, texts: list[str]) -> None:
    """XLMRobertaModel, without the head of its pretraining, in half precision, with a description: mean and norm."""
    tokenizer = unigram_tokenizer(texts, ["<s>", "<pad>", "</s>", "<unk>"], "<s>", "</s>")
    config = XLMRobertaConfig(
        **SIZE, vocab_size=len(tokenizer), max_position_embeddings=514, type_vocab_size=1, pad_token_id=1,
        layer_norm_eps=1e-5,
    )  # fmt: skip
    save(folder, XLMRobertaModel(config).half(), tokenizer)
    describe_pooling(folder, "mean")


def describe_pooling(folder: Path, pooling: str) -> None:
    """Make the model in `folder` one of sentence-transformers."""
    transformer = Transformer(str(folder))
    modules = [transformer, Pooling(transformer.get_embedding_dimension(), pooling_mode=pooling), Normalize()]
    SentenceTransformer(modules=modules).save(str(folder), create_model_card=False)


def unigram_tokenizer(texts: list[str], special: list[str], first: str, last: str) -> PreTrainedTokenizerFast:
    """A SentencePiece-like tokenizer; `special` in the order of their ids, the one for unknown words last."""
    rules = Tokenizer(models.Unigram())
    rules.normalizer = normalizers.NFKC()
    rules.pre_tokenizer = pre_tokenizers.Metaspace()
    rules.decoder = decoders.Metaspace()
    unknown = special[-1]
    trainer = trainers.UnigramTrainer(vocab_size=3000, special_tokens=special, unk_token=unknown, show_progress=False)
    rules.train_from_iterator(texts, trainer)
    rules.post_processor = processors.RobertaProcessing(
        (last, rules.token_to_id(last)), (first, rules.token_to_id(first)), add_prefix_space=False
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=rules, bos_token=first, cls_token=first, eos_token=last, sep_token=last, unk_token=unknown,
        pad_token=next(token for token in special if "pad" in token.lower()), model_max_length=512,
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def save(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


MODELS = {
    "qwen3": qwen3,
    "xlm-roberta": xlm_roberta,
    "sbert": sbert,
    "nli": nli,
    "frida": frida,
    "e5-instruct": e5_instruct,
}

if __name__ == "__main__":
    make_all(Path(sys.argv[1]))
