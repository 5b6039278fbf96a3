"""Whose terms bind what is passed on."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from stages.common.licences import LICENCES, licence, licence_key
from stages.publishing.errors import PublishError
from stages.publishing.terms import Params, binding, check_accepted, check_made_with, notice, table, terms
from stages.running.config import load
from tests.conftest import ROOT
from tests.unit.publishing.conftest import composed

pytestmark = pytest.mark.usefixtures("finished")


def asked(*overrides: str) -> dict[str, tuple[str, ...]]:
    """By what the user has to affirm: what it binds."""
    composed(list(overrides))
    return {term.accept: term.binds for term in terms(load(Params)) if term.accept}


def test_every_licence_of_the_catalogue_is_known() -> None:
    models = [OmegaConf.load(path) for path in sorted((ROOT / "conf/models/catalogue").glob("*.yaml"))]
    assert {licence_key(model.license) for model in models if model.source != "server"} <= set(LICENCES)


def test_the_sample_with_the_default_models_asks_for_googles_terms_alone() -> None:
    assert set(asked()) == {"gemma"}


def test_free_models_and_the_sample_ask_for_nothing() -> None:
    small = ("models/student=e5-small", "train=e5-small", "models/embedder=e5-small", "embed=e5-small")
    assert asked(*small) == {}
    check_accepted(terms(load(Params)), [])


def test_own_reviews_have_to_be_spoken_for() -> None:
    assert asked("data=own", "data.path=shop.csv")["reviews"] == ("student", "dataset")


def test_who_labels_and_writes_on_a_server_has_terms_nobody_knows() -> None:
    found = asked("teacher=openai", "server.model=large")
    assert found["server"] == ("student", "dataset")


def test_a_licence_that_is_not_known_stops_with_its_own_word() -> None:
    composed(["models.teacher.license=Llama 3.1 Community License"])
    with pytest.raises(PublishError, match=r"--accept llama-3.1-community-license gemma.*not known here: read it"):
        check_accepted(terms(load(Params)), [])
    check_accepted(terms(load(Params)), ["gemma", "llama-3.1-community-license"])


def test_a_model_that_had_no_part_binds_nothing() -> None:
    assert "cc-by-nc-4.0" in asked("models.generator.license=CC-BY-NC-4.0")
    assert "cc-by-nc-4.0" not in asked("models.generator.license=CC-BY-NC-4.0", "experiment=no_generation")
    # The encoder is in the student; the dataset holds nothing of it.
    composed(["models.student.license=CC-BY-NC-4.0", "curate.policy=none", "generate.filters.readers=both"])
    assert [term.accept for term in binding(terms(load(Params)), ["dataset"]) if term.accept] == []


def test_the_notice_names_what_it_was_made_of_and_says_what_has_to_be_said() -> None:
    composed(["models.teacher.license=Qwen License"])
    text = notice(terms(load(Params)), "dataset")
    assert "- qwen2.5-coder-0.5b (its labels): Qwen License (https://" in text
    assert "Improved using Qwen." in text
    assert "embeddinggemma-300m (the encoder)" not in text


def test_the_table_says_what_binds_what() -> None:
    lines = table(terms(load(Params)))
    assert lines[0].split() == ["what", "it", "was", "made", "of", "licence", "binds", "--accept"]
    row = next(line for line in lines if line.startswith("embeddinggemma-300m (the encoder)"))
    assert row.split("  ")[-1] == "gemma"
    assert "student and dataset" in next(line for line in lines if line.startswith("qwen2.5-coder-1.5b"))


@pytest.mark.parametrize("name", ["models.student.license=MIT", "data.path=other.csv", "generate.base.candidates=1.0"])
def test_settings_of_another_run_do_not_say_whose_terms_hold(name: str) -> None:
    composed([name], run=False)
    with pytest.raises(PublishError, match=f"another section {name.split('.')[0]} than params.yaml has"):
        check_made_with()


@pytest.mark.parametrize("content", [None, "", "stages: {}", "{"], ids=["none", "empty", "no-run", "damaged"])
def test_without_a_finished_run_there_is_nothing_to_pass_on(content: str | None) -> None:
    Path("dvc.lock").unlink()
    if content is not None:
        Path("dvc.lock").write_text(content)
    with pytest.raises(PublishError, match="knows of no finished run; run `make repro`"):
        check_made_with()


def test_licences_are_called_what_the_hub_calls_them() -> None:
    assert licence("Apache-2.0").hub == "apache-2.0"
    assert licence("Gemma").hub == "gemma"
    assert licence("whatever").hub == "other"
