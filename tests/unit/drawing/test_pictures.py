from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from stages.drawing.pictures import (
    COLOURS,
    MARKERS,
    STEP_NAMES,
    axes_limits,
    choose_pictures,
    draw_picture,
    write_picture,
    write_points,
)

NAMES = ["обувь", "одежда", "посуда", "нет товара"]
SEVEN = {"original_data"} | {
    f"{kind}_{step}" for kind in ("all_data", "almost_all_data") for step in ("initial", "paraphrase", "final")
}


@pytest.fixture(scope="module")
def points() -> pd.DataFrame:
    """A point table: three classes of real rows, then two classes in each step."""
    rows = [("одежда", "real")] * 8 + [("нет товара", "real")] * 4 + [("обувь", "real")] * 2
    rows += [(name, step) for step in ("base", "paraphrase", "style") for name in ("обувь", "посуда", "посуда")]
    frame = pd.DataFrame(rows, columns=["label", "provenance"])
    frame[["x", "y"]] = np.random.default_rng(0).normal(size=(len(frame), 2))
    return frame.assign(step=frame["provenance"].map(STEP_NAMES), text="Хорошие туфли")


@pytest.fixture(scope="module")
def figures(points: pd.DataFrame) -> dict[str, Figure]:
    pictures = choose_pictures(points, ["base", "paraphrase", "style"], ["одежда", "нет товара"])
    return {picture.name: draw_picture(picture, NAMES, axes_limits(points)) for picture in pictures}


def test_there_are_seven_pictures_with_equal_axes(figures: dict[str, Figure], points: pd.DataFrame) -> None:
    assert set(figures) == SEVEN
    assert len({(figure.axes[0].get_xlim(), figure.axes[0].get_ylim()) for figure in figures.values()}) == 1
    left, right = figures["original_data"].axes[0].get_xlim()
    assert left < points["x"].min() < points["x"].max() < right


@pytest.mark.parametrize(
    ("name", "legend"),
    [
        ("original_data", ["обувь: 2 + 0", "одежда: 8 + 0", "посуда: 0 + 0", "нет товара: 4 + 0"]),
        ("all_data_initial", ["обувь: 2 + 1", "одежда: 8 + 0", "посуда: 0 + 2", "нет товара: 4 + 0"]),
        ("almost_all_data_initial", ["обувь: 0 + 1", "одежда: 8 + 0", "посуда: 0 + 2", "нет товара: 4 + 0"]),
        ("all_data_final", ["обувь: 2 + 3", "одежда: 8 + 0", "посуда: 0 + 6", "нет товара: 4 + 0"]),
        ("almost_all_data_final", ["обувь: 0 + 3", "одежда: 8 + 0", "посуда: 0 + 6", "нет товара: 4 + 0"]),
    ],
)
def test_the_legend_counts_real_and_synthetic_rows(figures: dict[str, Figure], name: str, legend: list[str]) -> None:
    assert [text.get_text() for text in figures[name].legends[0].get_texts()] == legend
    drawn = sum(len(line.get_xdata()) for line in figures[name].axes[0].get_lines())
    assert drawn == sum(int(number) for entry in legend for number in entry.split(": ")[1].split(" + "))


def test_the_legend_lies_within_the_figure(figures: dict[str, Figure]) -> None:
    figure = figures["all_data_final"]
    figure.draw_without_rendering()
    box, legend = figure.bbox, figure.legends[0].get_window_extent()
    assert box.x0 <= legend.x0 < legend.x1 <= box.x1
    assert box.y0 <= legend.y0 < legend.y1 <= figure.axes[0].get_window_extent().y0


def test_without_synthetic_rows_there_is_one_picture(points: pd.DataFrame) -> None:
    assert [picture.name for picture in choose_pictures(points, [], NAMES)] == ["original_data"]


def test_classes_keep_apart_by_colour_and_marker() -> None:
    assert len({(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i in range(110)}) == 110


def test_files_are_png_and_pdf_and_the_same_each_time(figures: dict[str, Figure], tmp_path: Path) -> None:
    for folder in (tmp_path / "a", tmp_path / "b"):
        write_picture(folder, "original_data", figures["original_data"])
    written = {file.name: file.read_bytes() for file in (tmp_path / "a").iterdir()}
    assert {name: content[:4] for name, content in written.items()} == {
        "original_data.png": b"\x89PNG",
        "original_data.pdf": b"%PDF",
    }
    assert written == {file.name: file.read_bytes() for file in (tmp_path / "b").iterdir()}


def test_the_point_table_holds_no_spreadsheet_formula(points: pd.DataFrame, tmp_path: Path) -> None:
    write_points(tmp_path / "points.csv", points.assign(text=["=1+1", *points["text"][1:]], confidence=0.5))
    table = pd.read_csv(tmp_path / "points.csv")
    assert table.columns.to_list() == ["x", "y", "label", "provenance", "step", "confidence", "text"]
    assert len(table) == len(points)
    assert table["text"][:2].to_list() == ["'=1+1", "Хорошие туфли"]
