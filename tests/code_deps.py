"""The code among the deps of dvc.yaml: `python -m tests.code_deps` writes it, from the imports.

DVC does not follow imports, so every stage has to name the files that it runs: all of them, or an edit would not rerun
it; and no others, or an edit would rerun it for nothing. A package whose files it runs all is named as a folder. The
backend of a language model is imported by its name in params.yaml; dvc.yaml names it so by hand, as
`stages/llm/${label.backend}_backend.py`. What any of them imports is among the deps of who may open one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
PIPELINE = ROOT / "dvc.yaml"
OPENS_BACKENDS = ROOT / "stages/llm/backend.py"


def main() -> None:
    """Rewrite the lines of code in dvc.yaml; every other line stays as it is."""
    source = PIPELINE.read_text(encoding="utf-8")
    for name in definitions():
        source = with_code(source, name, code_deps(entry(name)))
    PIPELINE.write_text(source, encoding="utf-8")
    print(f"{len(definitions())} stages in {PIPELINE.name} name the code that they run")


def definitions() -> dict[str, dict[str, Any]]:
    """What dvc.yaml says of each stage, or of each of the stages that one definition makes."""
    stages = yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))["stages"]
    return {name: stage.get("do", stage) for name, stage in stages.items()}


def entry(name: str) -> Path:
    """The file that a stage's command runs."""
    module = definitions()[name]["cmd"].partition("-m ")[2].split()[0]
    return ROOT / (module.replace(".", "/") + ".py")


def closure(file: Path) -> set[Path]:
    """`file`, and all of this project that it imports, inside functions and by way of others too.

    Packages' own `__init__.py` are left out: a test sees to it that they hold nothing to run.
    """
    seen: set[Path] = set()
    open_files = {file}
    while open_files:
        seen |= open_files
        open_files = {found for path in open_files for found in imported(path)} - seen
        if OPENS_BACKENDS in seen:
            backends = OPENS_BACKENDS.parent.glob("*_backend.py")
            open_files |= {found for backend in backends for found in imported(backend)} - seen
    return seen


def imported(file: Path) -> Iterator[Path]:
    """The files of this project that `file` names in its imports."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            path = ROOT / (name.replace(".", "/") + ".py")
            if name.startswith("stages.") and path.is_file():
                yield path


def code_deps(file: Path) -> list[str]:
    """`closure` as dvc.yaml names it, relative to the root."""
    files = closure(file)
    packages = sorted({path.parent for path in files} - {ROOT / "stages"})
    named = [file.relative_to(ROOT).as_posix()]
    for package in packages:
        own = {path for path in package.glob("*.py") if path.name != "__init__.py"}
        # Templates and style sheets are read by the package's own code, and belong to it.
        whole = own <= files or any(path.suffix != ".py" for path in package.iterdir() if path.is_file())
        chosen = [package] if whole else sorted(own & files)
        named += [path.relative_to(ROOT).as_posix() for path in chosen]
    return named


def with_code(source: str, name: str, code: list[str]) -> str:
    """`source` with the lines of code at the start of the deps of one stage replaced by `code`."""
    pattern = re.compile(rf"^(  {name}:\n(?:(?!  \w+:\n).*\n)*?( +)deps:\n)((?: +- stages/[^$\s]+\n)*)", re.MULTILINE)
    found = pattern.search(source)
    assert found, f"{name} has no deps in the form of a list, one a line"
    lines = "".join(f"{found[2]}  - {path}\n" for path in code)
    return source[: found.start(3)] + lines + source[found.end(3) :]


def reruns(deps: dict[str, list[str]], files: list[Path]) -> dict[Path, list[str]]:
    """For each file the stages that an edit to it reruns, going by the `deps` of each stage."""
    paths = {stage: [ROOT / dep for dep in named if dep.startswith("stages/")] for stage, named in deps.items()}
    return {
        file: [stage for stage, named in paths.items() if any(file == path or path in file.parents for path in named)]
        for file in files
    }


if __name__ == "__main__":
    main()
