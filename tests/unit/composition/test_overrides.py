"""What a user types in SET is a value, whatever Hydra's grammar makes of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages.composition.compose import compose
from stages.composition.overrides import readable, split
from stages.running.errors import ConfigError
from tests.conftest import ROOT

# As they are typed behind `data.path=`; each is the name that is meant.
NAMES = [
    "отзывы.csv",
    "reviews(1).csv",
    "отзывы[1].csv",
    "a,b.csv",
    "a=b.csv",
    "it's.csv",
    "50%;x&y|z#!`*.csv",
    "$HOME.csv",
    "~/отзывы.csv",
    "отзывы\\",
    "[1].csv",
    "a:b@c.csv",
    "range(1,3)",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_taken_as_it_is_typed(name: str, tmp_path: Path) -> None:
    (override, other) = split(f"data.path={name} data.text_column=Отзыв")
    data = compose(tmp_path / "params.yaml", [override, other], ROOT / "conf").data
    assert (data.path, data.text_column) == (name, "Отзыв")


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("'мои отзывы (1).csv'", "мои отзывы (1).csv"),
        ('"it\'s mine.csv"', "it's mine.csv"),
        ("'2024'", "2024"),
        ("2024", 2024),
        ("1e-5", 1e-5),
        ("null", None),
        ("true", True),
        ("", ""),
        ("[a,b]", ["a", "b"]),
        ("[]", []),
        ("[Обувь, 'Дом, сад', 3, null]", ["Обувь", "Дом, сад", 3, None]),
        ("{a: 1, b: [x,y]}", {"a": 1, "b": ["x", "y"]}),
    ],
)
def test_values_of_every_kind(typed: str, value: object) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    (override,) = split(f"key={typed}")
    assert OverridesParser.create().parse_override(readable(override)).value() == value


def test_a_whole_override_may_stand_in_quotes_and_keys_may_be_added_and_removed() -> None:
    assert split("'a.b={x: 1, y: 2}' ~c +d=1 ++e=f") == ["a.b={x: 1, y: 2}", "~c", "+d=1", "++e=f"]
    assert list(map(readable, ["~c", "~c=1", "+d=1", "++e=ё", "train/loss=focal", "a@b=c"])) == [
        "~c", "~c=1", "+d=1", "++e='ё'", "train/loss=focal", "a@b=c",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("отзывы.csv", "'отзывы.csv' is no key=value"),
        ("+data.gold.sets.отзыв=a.csv", r"'\+data.gold.sets.отзыв' is no key that Hydra takes"),
        ("data.pth=отзывы.csv", r"data\.pth=отзывы\.csv: .*data\.pth"),
        ("data.text_column=2024", r"data\.text_column=2024: a text, so in quotes, data\.text_column='2024'"),
        ("prompt=строгий", r"prompt=строгий: .*prompt/строгий"),
    ],
)
def test_faults_are_one_line_with_key_and_value(override: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        compose(tmp_path / "params.yaml", [override], ROOT / "conf")
    assert len(str(refused.value).splitlines()) == 1
    assert not (tmp_path / "params.yaml").exists()


@pytest.mark.parametrize("name", ["'мои отзывы (1).csv'", "it's.csv", "50%;x&y|z#!`*.csv", "$HOME.csv"])
def test_make_and_its_shell_hand_it_on(name: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for folder in ("conf", "stages", "annotations"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/raw").symlink_to(ROOT / "data/raw")
    file = name.strip("'") if " " in name else name
    reviews = [f"отзыв номер {number} хороший" for number in range(60)]
    (tmp_path / file).write_text("\n".join(["Отзыв", *reviews]), encoding="utf-8")
    # The environment counts as made: it is the one that runs this.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["make", "--old-file=.venv/.ready", "params", f"SET=data.path={name} data.text_column=Отзыв"]
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    data = yaml.safe_load((tmp_path / "params.yaml").read_text(encoding="utf-8"))["data"]
    assert (data["path"], data["text_column"]) == (file, "Отзыв")
