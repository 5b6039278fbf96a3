"""The import contracts list modules by hand: a new stage or package must not be forgotten there."""

import tomllib

from tests.conftest import ROOT

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
STAGES = {f"stages.{path.stem}" for path in (ROOT / "stages").glob("*.py")} - {"stages.__init__"}
PACKAGES = {f"stages.{path.parent.name}" for path in (ROOT / "stages").glob("*/__init__.py")}


def test_every_stage_and_package_is_under_contract():
    independent, library, common, making, _, whole = CONTRACTS
    assert set(independent["modules"]) == set(library["forbidden_modules"]) == STAGES
    assert set(library["source_modules"]) == PACKAGES
    below = set(common["source_modules"])
    assert set(common["forbidden_modules"]) == PACKAGES - below
    # Every other package either makes data or tells of it.
    assert {*below, *making["source_modules"], *making["forbidden_modules"]} == PACKAGES
    assert set(whole["source_modules"]) == PACKAGES - {"stages.composition", "stages.hardware"}
