"""Generate until the plan is filled or the budget is used up; filter, and have the category of every survivor read."""

from __future__ import annotations

import json
import logging
import math
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice, zip_longest

import numpy as np
import pandas as pd

from stages.common.arrays import FloatArray, Vectors, probability_matrix
from stages.common.texts import text_id
from stages.curation.second_opinion import SecondOpinion, combine
from stages.labelling.teacher import Teacher
from stages.llm.backend import Completion, Refusal, Sampling
from stages.llm.cache import CachedModel
from stages.synthesis.config import Generate, Step
from stages.synthesis.filters import Known, apply_filters, once_told, relabelled
from stages.synthesis.requests import Request
from stages.synthesis.steps import Written

logger = logging.getLogger(__name__)

# An engine writes so many texts in hardly more time than one.
SMALLEST_ROUND = 16
# What is left of a budget after some round is let be if it is less: the filters would leave a row or two of it.
WORTH_A_ROUND = SMALLEST_ROUND // 2
# What follows the last finished sentence: the token limit cuts off anywhere.
_UNFINISHED = re.compile(r"(?<=[.!?…])\s+[^.!?…)]*[^.!?…)\s]$")


@dataclass(frozen=True)
class Generation:
    """All candidates of a step in order; `reason` is "" for the accepted ones. Columns as in `candidates_frame`."""

    candidates: pd.DataFrame
    embeddings: Vectors

    def accepted(self) -> pd.DataFrame:
        """The accepted rows."""
        return self.candidates[self.candidates["reason"] == ""].drop(columns="reason")

    def written(self) -> Written:
        """The accepted rows, numbered from 0, with their embeddings."""
        return Written(
            self.accepted().reset_index(drop=True), self.embeddings[(self.candidates["reason"] == "").to_numpy()]
        )


@dataclass(frozen=True)
class Writer:
    """The generator, those who read what it wrote, and what it is held to.

    `labels` are the categories in order. `opinion` and, with `prior` (labels,) for its calibration, the teacher say
    which of them a text is of: both as in `combine`, with `teacher_weight`, or whichever there is.
    """

    labels: list[str]
    generator: CachedModel
    teacher: Teacher | None
    prior: FloatArray
    opinion: SecondOpinion | None
    teacher_weight: float
    embed: Callable[[list[str]], Vectors]
    settings: Generate
    seed: int

    def write(
        self, name: str, step: Step, wanted: Mapping[str, int], requests: Mapping[str, Iterator[Request]], known: Known
    ) -> Generation:
        """Fill `wanted` (label -> rows) from `requests`, at most `step.candidates` candidates a wanted row.

        Every round asks for twice what is still missing, or for more where the filters took more than half so far, and
        for some `SMALLEST_ROUND` where the budget has them; what is left of it and not `WORTH_A_ROUND` is not spent.
        Rows accepted beyond `wanted` stay. A row that was told again is not asked about any more. Prompts and sampling
        seeds follow from the configuration alone, so an interrupted step finds its answers in the cache.
        """
        rounds: list[pd.DataFrame] = []
        vectors: list[Vectors] = []
        asked = dict.fromkeys(wanted, 0)
        have = dict.fromkeys(wanted, 0)
        told: set[str] = set()
        while True:
            missing = {label: max(0, count - have[label]) for label, count in wanted.items()}
            taken = sum(asked.values()) / max(1, sum(have.values()))
            times = max(2, math.ceil(taken), SMALLEST_ROUND // max(1, sum(missing.values())))
            rounds_due = [
                _not_told(requests[label], told, min(times * missing[label], _budget(step, count) - asked[label]))
                for label, count in wanted.items()
            ]
            # Label after label in turn: those of one label share their examples, which are cached by its second turn.
            batch = [request for turn in zip_longest(*rounds_due) for request in turn if request is not None]
            if len(batch) < (WORTH_A_ROUND if rounds else 1):
                break
            for request in batch:
                asked[request.label] += 1
            candidates = self._ask(name, step, batch)
            rows = self.embed(candidates["text"].to_list())
            checked = once_told(self._check(step, candidates, rows, known, sorted(wanted)), told)
            told |= set(checked.loc[checked["reason"] == "", "source"]) - {""}
            rounds.append(checked)
            vectors.append(rows)
            fresh = checked["reason"] == ""
            for label, count in checked.loc[fresh, "label"].value_counts().items():
                have[str(label)] += int(count)
            known = replace(
                known,
                synthetic=[*known.synthetic, *checked.loc[fresh, "text"]],
                embeddings=np.concatenate([known.embeddings, rows[fresh.to_numpy()]]),
            )
            totals = sum(have.values()), sum(wanted.values()), sum(asked.values())
            logger.info("%s: %d accepted of %d wanted after %d candidates", name, *totals)
        if not rounds:
            nothing = self._check(step, candidates_frame([], [], name), known.embeddings[:0], known, [])
            return Generation(nothing, known.embeddings[:0])
        return Generation(pd.concat(rounds, ignore_index=True), np.concatenate(vectors))

    def _ask(self, name: str, step: Step, batch: list[Request]) -> pd.DataFrame:
        samplings = [
            Sampling(
                max_tokens=step.max_tokens,
                temperature=step.temperature,
                top_p=step.top_p,
                repetition_penalty=step.repetition_penalty,
                stop=tuple(self.settings.stop),
                seed=zlib.crc32(f"{self.seed} {request.label} {request.number}".encode()),
            )
            for request in batch
        ]
        backend = self.generator.backend
        prompts = [
            request.prompt if self.settings.mode == "completion" else backend.render(request.prompt)
            for request in batch
        ]
        given = self.generator.complete(prompts, samplings, f"write {name}")
        written = [(request, text) for request, text in zip(batch, given, strict=True) if isinstance(text, Completion)]
        refusals = [text.reason for text in given if isinstance(text, Refusal)]
        if refusals:
            logger.warning("%s: %d of %d requests got no text: %s", name, len(refusals), len(batch), refusals[0])
        return candidates_frame([request for request, _ in written], [text for _, text in written], name)

    def _check(
        self, step: Step, candidates: pd.DataFrame, rows: Vectors, known: Known, rare: list[str]
    ) -> pd.DataFrame:
        filtered = apply_filters(candidates, rows, known, self.settings.filters, step.min_mean_logprob)
        survivors = (filtered["reason"] == "").to_numpy()
        judged = self._read(filtered.loc[survivors, ["text"]], rows[survivors])
        names = self.labels
        # What nobody could read is of no category, and so of another than was asked for.
        unread = np.isnan(judged).any(axis=1)
        judged[unread] = 1 / len(names)
        probabilities = np.full((len(filtered), len(names)), 1 / len(names))
        probabilities[survivors] = judged
        labels, confidence = filtered["label"].to_numpy(copy=True), np.zeros(len(filtered))
        labels[survivors] = np.where(unread, "", np.array(names, dtype=object)[judged.argmax(axis=1)])
        confidence[survivors] = judged.max(axis=1)
        checked = relabelled(filtered, labels, confidence, rare, self.settings.filters)
        return checked.assign(confidence=confidence, probabilities=list(probabilities))

    def _read(self, texts: pd.DataFrame, rows: Vectors) -> FloatArray:
        """Distributions (rows, labels) by those who read what was written; nan where nobody could."""
        if texts.empty:
            return np.empty((0, len(self.labels)))
        opinion = None if self.opinion is None else self.opinion.distributions(rows)
        if self.teacher is None:
            assert opinion is not None, "somebody reads"
            return opinion
        read, _ = self.teacher.label_reviews(texts, self.prior, explain=False)
        teacher = probability_matrix(read)
        if opinion is None:
            return teacher
        both = combine(teacher, opinion, self.teacher_weight)
        return np.where(np.isnan(both), opinion, both)


def _budget(step: Step, wanted: int) -> int:
    return round(step.candidates * wanted)


def _not_told(requests: Iterator[Request], told: Collection[str], count: int) -> Iterator[Request]:
    """The next `count` requests but for those whose source is `told`; fewer where hardly another is left."""
    return islice((request for request in islice(requests, _PATIENCE * count) if request.source not in told), count)


# Requests that are looked at for each that is wanted.
_PATIENCE = 8


def candidates_frame(batch: list[Request], written: list[Completion], provenance: str) -> pd.DataFrame:
    """One row a candidate; `intended` is the label asked for, `attributes` JSON, `mean_logprob` in nats a token."""
    printable = ("".join(sign if sign.isprintable() else " " for sign in completion.text) for completion in written)
    cleaned = [_UNFINISHED.sub("", " ".join(text.split())).strip('"«» ') for text in printable]
    return pd.DataFrame(
        {
            "id": pd.Series([text_id(text) for text in cleaned], dtype=str),
            "text": pd.Series(cleaned, dtype=str),
            "label": pd.Series([request.label for request in batch], dtype=object),
            "intended": pd.Series([request.label for request in batch], dtype=object),
            "provenance": provenance,
            "seed_ids": [request.seed_ids for request in batch],
            "source": pd.Series([request.source for request in batch], dtype=object),
            "attributes": [json.dumps(request.attributes, ensure_ascii=False) for request in batch],
            "prompt": [request.prompt for request in batch],
            "mean_logprob": pd.Series([completion.mean_logprob for completion in written], dtype=float),
        }
    )
