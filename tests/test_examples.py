"""The packages in docs/examples, each as if it were installed: its tests pass, and its recipe trains."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

EXAMPLES = sorted(path.parent for path in (Path(__file__).parents[1] / "docs/examples").glob("*/pyproject.toml"))
RECIPES = {"eb-resistive": "drn", "eb-lateral": "competitive", "eb-spins": "ising"}
COMMAND = "import sys; from eb_core.cli.main import main; sys.argv[0] = 'eb'; main()"


def environment(example: Path, site: Path) -> dict[str, str]:
    """An environment in which the entry point and the sources of the package are on the path."""
    project = tomllib.loads((example / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = [f"{name} = {module}" for name, module in project["entry-points"]["eb.plugins"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[eb.plugins]", *points]) + "\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(example / "src")]), "OMP_NUM_THREADS": "1"}


def run(words: list[str], example: Path, folder: Path) -> str:
    ended = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment(example, folder / "site"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_the_tests_of_an_example_pass(example: Path, tmp_path: Path) -> None:
    root = ["--rootdir", str(tmp_path), "-p", "no:cacheprovider", "-c", "/dev/null"]
    run(["-m", "pytest", "-q", "-x", *root, str(example / "tests")], example, tmp_path)


@pytest.mark.parametrize(("name", "recipe"), RECIPES.items())
def test_the_recipe_of_an_example_trains(name: str, recipe: str, tmp_path: Path) -> None:
    (example,) = (path for path in EXAMPLES if path.name == name)
    said = run(["-c", COMMAND, "train", "--recipe", recipe, "--epochs", "1"], example, tmp_path)
    assert "test accuracy" in said
