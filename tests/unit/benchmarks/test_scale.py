"""The page's tables are the script's, and its arithmetic is right by hand."""

from __future__ import annotations

import pytest

from benchmarks.scale import PAGE, PRICES, SAMPLE, Plan, big, plans, sections, size, written


def test_the_page_shows_what_the_script_computes() -> None:
    page = PAGE.read_text(encoding="utf-8")
    tables = sections()
    assert written(page, tables) == page, "run `python -m benchmarks.scale --write`"
    assert all(page.count("\n".join(lines)) == 1 for lines in tables.values())


def test_a_sample_costs_less_than_a_tenth_on_every_card() -> None:
    assert all(plan.sampled(1e8, SAMPLE)[1] < plan.everything(1e8) / 10 for plan in plans(PRICES).values())


def test_both_ways_by_hand() -> None:
    # Two cards hold the teacher, at 3 dollars an hour together; 7.2 s a label.
    plan = Plan(cards=2, dollars=3.0, label=7.2, encode=0.36, train=3.24)
    assert plan.everything(1000) == pytest.approx(1000 * 7.2 / 3600 * 3)
    hours, dollars = plan.sampled(1000, 100)
    # 100 labels on two cards; on one card 100 embeddings, 100 rows' training, 1000 answers.
    assert hours == pytest.approx(100 * 7.2 / 3600 * 2 + (100 * 3.6 + 1000 * 0.36) / 3600)
    assert dollars == pytest.approx(hours * 1.5)


def test_numbers_in_words() -> None:
    assert [big(500_000), big(1e8), big(6.4e12)] == ["500,000", "100 million", "6.4 trillion"]
    assert [size(999), size(2_048_000_000), size(4.1e16)] == ["999 B", "2.05 GB", "41000 TB"]
