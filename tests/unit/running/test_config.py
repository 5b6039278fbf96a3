import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import stages.check
from stages.common.labels import Labels
from stages.composition.compose import compose
from stages.composition.params import load_all
from stages.running.config import load, section
from stages.running.errors import ConfigError
from tests.conftest import ROOT

OPTIONS = [
    f"{path.relative_to(ROOT / 'conf').parent.as_posix()}={path.stem}"
    for path in sorted((ROOT / "conf").rglob("*.yaml"))
    if path.parent != ROOT / "conf" and not {"catalogue", "wheels"} & {*path.parts}
]


def test_params_are_what_conf_composes(tmp_path):
    compose(tmp_path / "params.yaml", [], ROOT / "conf")
    assert (tmp_path / "params.yaml").read_text() == (ROOT / "params.yaml").read_text(), "run `make params`"


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes_and_loads(option, tmp_path):
    # What belongs to a served model is part of a whole.
    whole = ["teacher=openai"] if option.endswith("=openai") else []
    compose(tmp_path / "params.yaml", [*whole, option], ROOT / "conf")


def changed(tmp_path: Path, key: str, value: object) -> Path:
    given = OmegaConf.load(ROOT / "params.yaml")
    OmegaConf.update(given, key, value, force_add=True)
    OmegaConf.save(given, tmp_path / "params.yaml")
    return tmp_path / "params.yaml"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.epohs", 3, "epohs"),
        ("train.epochs", "many", "train.epochs"),
        ("train.loss", "focal", "train/loss=focal"),
        ("prompt", "fewshot", "prompt=fewshot"),
        ("models.teacher", "qwen3-14b", "models/teacher=qwen3-14b"),
        # PyYAML reads 2e-5 as a string.
        ("train.learning_rate", "2e-5", "train.learning_rate='2e-5'"),
        ("train.frozen_embeddings", "yes", "train.frozen_embeddings='yes'"),
        ("data.gold.sets.checked", 3, "data.gold.sets.checked"),
        ("label.explanations", "some", "all, low_confidence, none"),
        ("data.validation_share", 1.5, "data.validation_share=1.5"),
        ("labels.names", ["обувь", "обувь"], "обувь"),
        ("surprise", 1, "surprise"),
    ],
)
def test_faults_are_refused_by_name(key, value, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        load_all(changed(tmp_path, key, value))


def test_all_faults_are_told_at_once(tmp_path):
    given = OmegaConf.load(ROOT / "params.yaml")
    for key, value in (("train.epohs", 3), ("draw.perplexity", "many"), ("surprise", 1)):
        OmegaConf.update(given, key, value, force_add=True)
    OmegaConf.save(given, tmp_path / "params.yaml")
    with pytest.raises(ConfigError) as refused:
        load_all(tmp_path / "params.yaml")
    assert all(named in str(refused.value) for named in ("train.epohs=3", "draw.perplexity='many'", "surprise=1"))


def test_a_stage_reads_its_own_sections_and_no_others(tmp_path):
    @section
    class Own:
        seed: int
        labels: Labels

    path = changed(tmp_path, "train.epohs", 3)
    own = load(Own, path)
    assert (own.seed, len(own.labels.names)) == (20, 9)
    with pytest.raises(ConfigError, match=r"labels\.nams"):
        load(Own, changed(tmp_path, "labels.nams", 3))


def test_stage_check_refuses_the_whole_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changed(tmp_path, "train.epohs", 3)
    with pytest.raises(ConfigError, match=r"train\.epohs"):
        stages.check.main()
    assert not (tmp_path / "data").exists()
    for name in ("conf", "annotations"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/raw").symlink_to(ROOT / "data/raw")
    changed(tmp_path, "train.epochs", 3)
    stages.check.main()
    first = (tmp_path / "data/check/params.txt").read_bytes()
    changed(tmp_path, "train.epochs", 4)
    stages.check.main()
    # Nothing that waits for it is run again by a setting that it found in order.
    assert (tmp_path / "data/check/params.txt").read_bytes() == first


def test_a_group_given_as_a_value_is_refused_when_composed(tmp_path):
    """`-S train.loss=focal` would replace the mapping by a string without a word."""
    with pytest.raises(ConfigError, match="selected by train/loss=focal"):
        compose(tmp_path / "params.yaml", ["train.loss=focal"], ROOT / "conf")
    assert not (tmp_path / "params.yaml").exists()


def test_missing_file_and_missing_key(tmp_path):
    with pytest.raises(ConfigError, match="make params"):
        load_all(tmp_path / "params.yaml")
    given = OmegaConf.load(ROOT / "params.yaml")
    del given.seed
    OmegaConf.save(given, tmp_path / "params.yaml")
    with pytest.raises(ConfigError, match="lacks seed"):
        load_all(tmp_path / "params.yaml")


MALFORMED = [
    ("seed: 20\n# отзывы\n".encode("cp1251"), ", line 2: not UTF-8.*iconv -f CP1251 -t UTF-8"),
    ("seed: 20\n".encode("utf-16"), ", line 1: not UTF-8"),
    (b"seed: 20\n\tlabels: 3\n", ", line 2: not valid YAML: found character '.t'"),
    (b"seed: [1\nlabels: 2\n", ", line 2: not valid YAML"),
    (b"seed: 1\nseed: 2\n", ", line 2: not valid YAML: found duplicate key seed"),
    (b"seed: !!python/object/apply:os.system [x]\n", ", line 1: not valid YAML"),
    (b"\x00\x01\x02", " is not valid YAML: unacceptable character"),
]


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_a_parameter_file_that_cannot_be_read_is_told_by_its_line(content, message, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"params\.yaml" + message) as refused:
        load_all(path)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("content", [b"- 1\n", b"3\n", b"text\n", b"", b"a: ${b}\n", b"a: &x [*x]\n"])
def test_what_is_no_mapping_of_sections_is_refused_in_one_line(content, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"params\.yaml") as refused:
        load_all(path)
    assert len(str(refused.value).splitlines()) == 1


def test_a_byte_order_mark_is_no_fault_and_a_folder_is_one(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_bytes((ROOT / "params.yaml").read_text().encode("utf-8-sig"))
    assert load_all(path).seed == 20
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match=r"params\.yaml cannot be read: Is a directory"):
        load_all(path)


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_a_file_of_conf_that_cannot_be_read_is_told_by_its_line(content, message, tmp_path):
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "conf/plan/default.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"conf/plan/default\.yaml" + message) as refused:
        compose(tmp_path / "params.yaml", [], tmp_path / "conf")
    assert len(str(refused.value).splitlines()) == 1


def test_unknown_option_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="nosuch"):
        compose(tmp_path / "params.yaml", ["prompt=nosuch"], ROOT / "conf")
    assert not (tmp_path / "params.yaml").exists()
