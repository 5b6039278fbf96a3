"""The seven pictures of real and synthetic reviews, comparable by their common axes, and their table of points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D

from stages.running.io import atomic_path, write_table

# Pictures speak of the result of a step, tables of where a row comes from.
STEP_NAMES = {"real": "original", "base": "initial", "paraphrase": "paraphrase", "style": "final"}

# "Muted" of Paul Tol's colour-blind-safe schemes, and grey. Ten colours and eleven markers have no common factor,
# so a pair of them repeats only after 110 classes.
COLOURS = ("#332288", "#88CCEE", "#CC6677", "#117733", "#DDCC77", "#882255", "#44AA99", "#999933", "#AA4499", "#777777")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "p")

REAL_LOOK: dict[str, Any] = {"markeredgewidth": 0}
SYNTHETIC_LOOK: dict[str, Any] = {"markeredgewidth": 0.7, "markeredgecolor": "black"}

Limits = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Picture:
    """What one picture shows: the rows of the point table that are in it, and words for them."""

    name: str
    title: str
    points: pd.DataFrame


def choose_pictures(points: pd.DataFrame, provenances: Sequence[str], reliable: Sequence[str]) -> list[Picture]:
    """The pictures of a point table (columns x, y, label, provenance) after each of the synthetic `provenances`.

    First the real rows alone; then for each step all rows so far, and those without the real rows of classes that
    are not `reliable`: what a rare class looks like once synthetic rows stand for it.
    """
    real = points[points["provenance"] == "real"]
    pictures = [Picture("original_data", "Real reviews", real)]
    for index, provenance in enumerate(provenances):
        step = STEP_NAMES[provenance]
        synthetic = points[points["provenance"].isin(provenances[: index + 1])]
        kept = real[real["label"].isin(reliable)]
        after = f"synthetic reviews after the {step} step"
        pictures += [
            Picture(f"all_data_{step}", f"All real reviews and {after}", pd.concat([real, synthetic])),
            Picture(
                f"almost_all_data_{step}",
                f"Real reviews of the classes that are not rare, and {after}",
                pd.concat([kept, synthetic]),
            ),
        ]
    return pictures


def axes_limits(points: pd.DataFrame, margin: float = 0.04) -> Limits:
    """Limits of x and y that hold every point and a `margin` (a share of the range)."""
    x, y = ((points[axis].min(), points[axis].max()) for axis in ("x", "y"))
    return _widen(*x, margin), _widen(*y, margin)


def draw_picture(picture: Picture, names: Sequence[str], limits: Limits) -> Figure:
    """Draw `picture` with a colour and a marker for each of `names`; synthetic rows have a dark edge.

    Every class is in the legend of every picture, so that the axes have the same place and size in all of them.
    """
    figure = Figure(figsize=(10, 8), layout="constrained")
    axes = figure.add_subplot(xlim=limits[0], ylim=limits[1], xlabel="t-SNE 1", ylabel="t-SNE 2")
    is_real = picture.points["provenance"] == "real"
    axes.set_title(f"{picture.title}\n{is_real.sum():,} real, {(~is_real).sum():,} synthetic")
    styles: dict[str, dict[str, Any]] = {
        name: {"linestyle": "", "color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}
        for index, name in enumerate(names)
    }
    counts = [
        picture.points.loc[rows, "label"].value_counts().reindex(list(names), fill_value=0)
        for rows in (is_real, ~is_real)
    ]
    for rows, size, look in ((is_real, 5, REAL_LOOK), (~is_real, 6, SYNTHETIC_LOOK)):
        shown = picture.points[rows]
        # The largest class goes first, and fainter the larger it is, so that it does not bury the small ones.
        for name in shown["label"].value_counts().index:
            of_class = shown[shown["label"] == name]
            alpha = min(0.9, max(0.25, 300 / len(of_class)))
            axes.plot(of_class["x"], of_class["y"], markersize=size, alpha=alpha, **styles[name], **look)
    handles: list[Any] = [
        tuple(Line2D([], [], markersize=7, **styles[name], **look) for look in (REAL_LOOK, SYNTHETIC_LOOK))
        for name in names
    ]
    figure.legend(
        handles,
        [f"{name}: {counts[0][name]:,} + {counts[1][name]:,}" for name in names],
        title="class: real + synthetic (with a dark edge)",
        loc="outside lower center",
        ncols=min(3, math.ceil(len(names) / 3)),
        handler_map={tuple: HandlerTuple(ndivide=None, pad=0.6)},
        frameon=False,
    )
    return figure


def write_picture(folder: Path, name: str, figure: Figure) -> None:
    """Write `name`.png and `name`.pdf into `folder`, the same bytes for the same picture."""
    # Type 42 keeps Cyrillic searchable in the PDF.
    with mpl.rc_context({"pdf.fonttype": 42}):
        for suffix, metadata in ((".png", {"Software": None}), (".pdf", {"CreationDate": None})):
            with atomic_path(folder / f"{name}{suffix}") as temporary:
                figure.savefig(temporary, dpi=150, metadata=metadata)


def write_points(path: Path, points: pd.DataFrame) -> None:
    """Write the point table as CSV for `dvc plots`."""
    frame = points[["x", "y", "label", "provenance", "step", "confidence", "text"]]
    write_table(path, frame.round({"x": 4, "y": 4, "confidence": 4}))


def _widen(low: float, high: float, margin: float) -> tuple[float, float]:
    space = margin * (high - low) or 1.0
    return low - space, high + space
