"""`eb new-plugin`: a package of each kind works unedited, is never in the way, and is found where it is broken."""

import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from plugin_site import Site
from test_examples import run
from typer.testing import Result

from eb_core import Registry, UsageError
from eb_core.registry import KINDS
from eb_core.scaffold.kinds import NEW
from eb_core.scaffold.names import names_of
from eb_core.scaffold.package import new_package


def made(kind: str, parent: Path, name: str = "") -> Path:
    """A new package, called eb-my-KIND."""
    return new_package(names_of(name or f"eb-my-{kind}", kind, Registry.installed()), parent, "A. Author")


def test_there_is_a_package_for_every_kind() -> None:
    assert set(NEW) == set(KINDS)


@pytest.mark.parametrize("kind", NEW)
def test_a_new_package_passes_its_own_tests_unedited(kind: str, tmp_path: Path) -> None:
    package = made(kind, tmp_path)
    said = run(["-m", "pytest", "-q", "-p", "no:cacheprovider", str(package)], package, tmp_path)
    assert re.search(r"\d+ passed", said)


EB = "import sys; from eb_core.cli.main import main; sys.argv[0] = 'eb'; main()"


def test_a_new_package_is_listed_described_and_resolved_by_name(tmp_path: Path) -> None:
    package = made("backend", tmp_path)
    listed = run(["-c", EB, "list-plugins"], package, tmp_path)
    assert re.search(r"eb-my-backend\s+0.1.0\s+ok", listed)
    described = run(["-c", EB, "describe", "backend", "my-backend"], package, tmp_path)
    assert "glitches" in described
    assert "readout_noise" in described
    chosen = run(["-c", EB, "train", "--backend", "my-backend", "--dry-run"], package, tmp_path)
    assert re.search(r"hidden\s+\(100,\)\s+recipe 'my-backend'", chosen), "a backend brings its recipe"
    assert "device time" in chosen
    run(["-c", EB, "doctor"], package, tmp_path)


def test_a_new_package_says_what_a_release_needs(tmp_path: Path) -> None:
    package = made("backend", tmp_path)
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    assert project["name"] == "eb-my-backend"
    assert project["dependencies"][0].startswith("eb-core>=")
    assert set(project["optional-dependencies"]) == {"test", "sdk"}
    assert project["entry-points"]["eb.plugins"] == {"eb-my-backend": "eb_my_backend.plugin"}
    assert "A. Author" in (package / "LICENSE").read_text()
    assert "A. Author" in (package / "CITATION.cff").read_text()
    workflow = (package / ".github/workflows/ci.yml").read_text()
    assert "id-token: write" in workflow
    assert "$" not in workflow
    files = [path for path in package.rglob("*") if path.is_file()]
    left = [path for path in files if re.search(r"\$\w|_module_|_stem_", path.read_text())]
    assert left == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My-Chip", "'My-Chip' is no name of a package"),
        ("my_chip", "is no name of a package"),
        ("9lives", "is no name of a package"),
        ("../chip", "is no name of a package"),
        ("eb-9", "needs a letter first"),
        ("eb-models", "a package 'eb-models' is installed"),
        ("json", "'json' is a module of Python"),
        ("eb-class", "'class' is a word of Python"),
        ("eb-hopfield", "a relaxer is called 'hopfield'"),
        ("eb-oim-paper", "a recipe is called 'oim-paper'"),
        ("plugin-site", "a module 'plugin_site' is there already"),
    ],
)
def test_a_name_that_is_taken_or_is_none_is_refused(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        names_of(name, "relaxer", Registry.installed())


def test_a_kind_that_does_not_exist_is_refused_with_a_guess() -> None:
    with pytest.raises(UsageError, match="there is no kind 'relaxor'"):
        names_of("eb-mine", "relaxor", Registry.installed())


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path, eb: Callable[..., Result]) -> None:
    there = Path("eb-mine")
    there.mkdir()
    (there / "thesis.tex").write_text("years")
    result = eb("new-plugin", "eb-mine", "--kind", "rule")
    assert result.exit_code == 2
    assert "eb-mine is there already, and is left as it is" in " ".join(result.stderr.split())
    assert [path.name for path in there.iterdir()] == ["thesis.tex"]
    assert [path.name for path in Path().iterdir()] == ["eb-mine"]


def test_a_folder_to_make_it_in_must_exist(eb: Callable[..., Result]) -> None:
    result = eb("new-plugin", "eb-mine", "--kind", "rule", "--into", "nowhere")
    assert (result.exit_code, "there is no folder nowhere" in result.stderr) == (2, True)


@pytest.mark.skipif(os.getuid() == 0, reason="nothing stops root from writing")
def test_a_folder_that_cannot_be_written_leaves_nothing(tmp_path: Path, eb: Callable[..., Result]) -> None:
    Path("locked").mkdir(mode=0o500)
    result = eb("new-plugin", "eb-mine", "--kind", "rule", "--into", "locked")
    assert (result.exit_code, list(Path("locked").iterdir())) == (1, [])


def test_the_command_says_what_it_made_and_what_to_do_next(eb: Callable[..., Result]) -> None:
    result = eb("new-plugin", "eb-mine", "--kind", "cost", "--author", "A. Author")
    assert result.exit_code == 0
    for line in ("pip install -e 'eb-mine[test]'", "eb describe cost mine", "eb check cost:mine", "pytest eb-mine"):
        assert line in result.stdout
    assert Path("eb-mine/src/eb_mine/mine.py").exists()
    assert "\\n" not in result.stdout
    assert Path("eb-mine/.gitignore").exists()


BROKEN = {
    "relaxer": ("view.project(name, old +", "(old +", "report"),
    "energy": ("return self.k * s\n", "return 1.1 * self.k * s\n", "force"),
    "rule": ("(-1 / self.beta, zero)", "(-1 / self.beta, free)", "as trained"),
    "model": ('("input", "hidden"), ', "", "reached"),
    "cost": (".clamp(-self.delta, self.delta)", "", "derivative"),
    "dataset": ("default_rng(self.seed)", "default_rng()", "same twice"),
    "backend": ("+ fields) / bend", "+ abs(fields)) / bend", "biases pull"),
}
"""Kind -> what is replaced, by what, and the check that must find it."""


@pytest.fixture
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    site = Site(tmp_path / "site")
    yield site
    for name in [name for name in sys.modules if name.startswith("eb_my_")]:
        del sys.modules[name]


@pytest.mark.parametrize("kind", NEW)
def test_a_broken_package_is_found_by_the_check_that_is_meant_for_it(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, importable: Site
) -> None:
    from eb_core import testing

    package = made(kind, tmp_path)
    sound, broken, name = BROKEN[kind]
    folder = package / "src" / f"eb_my_{kind}"
    (file,) = (path for path in folder.glob("*.py") if sound in path.read_text())
    file.write_text(file.read_text().replace(sound, broken))
    monkeypatch.syspath_prepend(str(package / "src"))
    module = __import__(f"eb_my_{kind}.my_{kind}", fromlist=["component"])
    component: Any = getattr(module, f"My{kind.capitalize()}{'Backend' if kind == 'backend' else ''}")()
    if kind == "backend":
        component = type(component)(isolated=False)
    suite = getattr(testing, f"{kind}_suite")(component)
    (check,) = (check for check in suite if str(check) == name)
    assert check.run().verdict == "failed"
