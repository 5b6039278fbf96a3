"""The card of the training set."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import yaml

from stages.common.labels import Labels
from stages.common.markdown import inline
from stages.common.provenances import HUMAN, PROVENANCES
from stages.common.splits import SPLITS
from stages.weights.config import Model


def card(rows: pd.DataFrame, labels: Labels, models: Mapping[str, Model]) -> str:
    """A dataset card in Markdown, from the rows themselves."""
    table = rows[rows["split"] == "train"].pivot_table(
        index="label", columns="provenance", values="id", aggfunc="count", fill_value=0
    )
    table = table.reindex(index=labels.names, columns=[name for name in PROVENANCES if name in table], fill_value=0)
    lines = ["| category | " + " | ".join(table.columns) + " |", "|---|" + "---:|" * len(table.columns)]
    lines += [
        "| " + " | ".join([inline(label), *map(str, row)]) + " |"
        for label, row in zip(labels.names, table.to_numpy(), strict=True)
    ]
    splits = ", ".join(f"{split} {count}" for split, count in rows["split"].value_counts().items())
    makers = "; ".join(f"{role}: {inline(model.name)} ({inline(model.license)})" for role, model in models.items())
    # The files of the splits, for `datasets.load_dataset`: what is not named here is read by the names of the files.
    files = [{"split": split, "path": f"{split}.parquet"} for split in SPLITS]
    front = {
        "language": [labels.language],
        # What holds for the reviews, which no model of ours wrote.
        "license": "other",
        "license_name": "that-of-the-reviews-source",
        "task_categories": ["text-classification"],
        "pretty_name": "Razmetka training set",
        "configs": [{"config_name": "default", "data_files": files}],
    }
    return "\n".join(
        [
            "---",
            yaml.safe_dump(front, allow_unicode=True, sort_keys=False).rstrip("\n"),
            "---",
            "# Training set",
            "",
            f"Rows: {splits}. Real rows carry the teacher's label as a second opinion left it; no person checked it.",
            *_of_people(rows),
            "Written rows were written for their category by the makers of the vocabulary file. Synthetic rows (base,",
            "paraphrase, style), of rare categories only, have the category that a language model wrote them for,",
            "checked by filters and by the readers of the real rows. Written and synthetic rows stand in train alone.",
            "",
            f"Made by {makers}.",
            "",
            "## Train rows by provenance",
            "",
            *lines,
            "",
            "## Columns",
            "",
            "`label` hard label; `soft_labels` the readers' distribution in the order of the class names (1 for the",
            "label of a written row or of a person); `weight` sample weight; `machine_label`, `machine_soft_labels`,",
            "`machine_weight` the same as models alone said it, which students before `human` learn;",
            f"`provenance` {', '.join(PROVENANCES[:-1])} or {PROVENANCES[-1]};",
            "`seed_ids` the rows that the generator was shown; `attributes` product and notes that were asked",
            "for (JSON).",
            "",
        ]
    )


def _of_people(rows: pd.DataFrame) -> list[str]:
    """What the card says of reviews that people answered, if there are any."""
    answered = rows.loc[rows["provenance"] == HUMAN, "split"].value_counts()
    if answered.empty:
        return []
    listed = ", ".join(f"{split} {answered[split]}" for split in SPLITS if split in answered)
    return [
        f"Human rows are real ones whose label a person gave ({listed}); from those in train the second opinion has",
        "learnt what it says of the real ones.",
    ]
