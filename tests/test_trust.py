"""A stranger's recipe or run directory names registered components only: it runs no code and calls nobody."""

import json
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from plugin_site import Site
from typer.testing import Result

import eb_core
from eb_core import PluginError, Registry, UsageError
from eb_core.registry import KINDS, parse_recipe, resolve_layers
from eb_core.training.loading import load_run_data

Eb = Callable[..., Result]
POISON = "from pathlib import Path\nPath({marker!r}).write_text('it ran')\nclass Poison:\n    pass\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run, as anybody may pass it on."""
    out = tmp_path_factory.mktemp("trained")
    path = eb_core.train({"name": "mlp", "hidden": [4]}, epochs=1, out=out).path
    assert path is not None
    return path


@pytest.fixture
def marker(site: Site, tmp_path: Path) -> Path:
    """A file that exists once the module `poison` has been imported."""
    marker = tmp_path / "marker"
    (site.folder / "poison.py").write_text(POISON.format(marker=str(marker)))
    return marker


def strangers_run(trained: Path, folder: Path, kind: str, **options: Any) -> Path:
    """A copy of a run that was stopped, with another section in its recipe; options None are left as they were."""
    path = Path(shutil.copytree(trained, folder / "stranger's run"))
    recipe = tomli.loads((path / "recipe.toml").read_text())
    recipe[kind] = options if "name" in options else {**recipe[kind], **options}
    (path / "recipe.toml").write_text(tomli_w.dumps(recipe))
    manifest = json.loads((path / "manifest.json").read_text()) | {"recipe": recipe, "status": "interrupted"}
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path


COMMANDS: dict[str, Callable[[Path], list[Any]]] = {
    "eb evaluate": lambda run: ["evaluate", run],
    "eb relax": lambda run: ["relax", run],
    "eb train --resume": lambda run: ["train", "--resume", run],
    "eb train --from": lambda run: ["train", "--from", run],
    "eb train --recipe": lambda run: ["train", "--recipe", run / "recipe.toml"],
    "eb relax --recipe": lambda run: ["relax", "--recipe", run / "recipe.toml"],
}
CALLS: dict[str, Callable[..., Any]] = {
    "load_run": eb_core.load_run,
    "load_run_data": load_run_data,
    "resume": eb_core.resume,
    "train": lambda run, **trust: eb_core.train(recipe=str(run / "recipe.toml"), **trust),
    "train from": lambda run, **trust: eb_core.train(start=run, **trust),
}
NOT_ASKED_FOR = {
    "eb evaluate": (),
    "eb relax": ("rule",),
    "eb relax --recipe": ("rule",),
    "load_run": ("dataset",),
    "load_run_data": tuple(kind for kind in KINDS if kind != "dataset"),
}
"""Sections that a way of loading leaves alone."""


def cases(ways: dict[str, Any]) -> list[tuple[str, str]]:
    return [(way, kind) for way in ways for kind in KINDS if kind not in NOT_ASKED_FOR.get(way, ())]


@pytest.mark.parametrize(("way", "kind"), cases(COMMANDS))
def test_a_command_imports_nothing_that_a_file_names(
    eb: Eb, trained: Path, tmp_path: Path, marker: Path, way: str, kind: str
) -> None:
    run = strangers_run(trained, tmp_path, kind, name="poison:Poison")
    result = eb(*COMMANDS[way](run))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("error:") == 1
    assert f"{kind} 'poison:Poison' is not registered" in result.stderr
    assert f"from: {run / 'recipe.toml'} [{kind}]" in result.stderr
    target = run / "recipe.toml" if way.endswith("--recipe") else run
    assert f"{way} {shlex.quote(str(target))} --trust" in result.stderr
    assert not marker.exists()
    assert "poison" not in sys.modules


@pytest.mark.parametrize(("way", "kind"), cases(CALLS))
def test_a_call_imports_nothing_that_a_file_names(
    trained: Path, tmp_path: Path, marker: Path, way: str, kind: str
) -> None:
    run = strangers_run(trained, tmp_path, kind, name="poison:Poison")
    with pytest.raises(UsageError, match="is not registered") as caught:
        CALLS[way](run)
    (fault,) = caught.value.faults
    assert fault.origin == f"{run / 'recipe.toml'} [{kind}]"
    assert "trust=True" in fault.advice
    assert not marker.exists()
    assert "poison" not in sys.modules


@pytest.mark.parametrize("way", COMMANDS)
def test_with_a_word_of_trust_a_command_uses_what_the_file_names(
    eb: Eb, trained: Path, tmp_path: Path, marker: Path, way: str
) -> None:
    run = strangers_run(trained, tmp_path, "model", name="poison:Poison")
    assert "poison:Poison is not a subclass of Model" in eb(*COMMANDS[way](run), "--trust").stderr
    assert marker.exists()


@pytest.mark.parametrize("way", CALLS)
def test_with_a_word_of_trust_a_call_uses_what_the_file_names(
    trained: Path, tmp_path: Path, marker: Path, way: str
) -> None:
    kind = "dataset" if way == "load_run_data" else "model"
    run = strangers_run(trained, tmp_path, kind, name="poison:Poison")
    with pytest.raises(PluginError, match="poison:Poison is not a subclass"):
        CALLS[way](run, trust=True)
    assert marker.exists()


def test_the_command_line_and_python_name_classes_as_ever(eb: Eb, marker: Path) -> None:
    assert eb("train", "--dataset", "tiny_parts:Tiny", "--dry-run").exit_code == 0
    with pytest.raises(PluginError, match="not a subclass of Rule"):
        eb_core.train(rule="poison:Poison", epochs=1)
    assert marker.exists()


def test_what_is_typed_replaces_what_a_file_names_and_that_is_not_imported(
    eb: Eb, trained: Path, tmp_path: Path, marker: Path
) -> None:
    run = strangers_run(trained, tmp_path, "rule", name="poison:Poison")
    assert eb("train", "--recipe", run / "recipe.toml", "--rule", "c-ep", "--dry-run").exit_code == 0
    assert not marker.exists()


def test_an_own_run_goes_on_with_the_command_that_the_refusal_names(eb: Eb) -> None:
    assert eb("train", "--dataset", "tiny_parts:Tiny", "--epochs", "1", "--out", "my runs").exit_code == 0
    (run,) = Path("my runs").iterdir()
    said = eb("evaluate", run).stderr
    command = said.partition("if you trust whoever wrote the file: eb ")[2].partition(" (in Python")[0]
    assert "accuracy" in eb(*shlex.split(command)).stdout


def test_a_class_that_is_on_offer_may_be_named_by_its_place(trained: Path, tmp_path: Path) -> None:
    run = strangers_run(trained, tmp_path, "relaxer", name="eb_dynamics_hopfield.block:Hopfield")
    assert eb_core.load_run(run).classes == 10


def test_a_run_on_own_arrays_needs_no_trust(tmp_path: Path, eb: Eb) -> None:
    import torch

    data = eb_core.Data.from_arrays(torch.rand(40, 3), torch.arange(40) % 2)
    run = eb_core.train({"name": "mlp", "hidden": [4]}, data=data, epochs=1, out=tmp_path / "own").path
    assert run is not None
    assert eb_core.load_run(run).classes == 2
    assert "trained on arrays given in Python" in eb("evaluate", run).stderr


def test_the_recipe_of_an_installed_package_is_trusted(site: Site, eb: Eb, marker: Path) -> None:
    package = site.folder / "brings_recipe"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "own.toml").write_text('[rule]\nname = "poison:Poison"\n')
    site.install("brings", '@hookimpl\ndef eb_recipes():\n    return [Component("own", "brings_recipe:own.toml")]\n')
    assert "not a subclass of Rule" in eb("train", "--recipe", "own").stderr
    assert marker.exists()


ODD = ["os:system", "poison", "poison:", ":Poison", "poison:Poison:x", "poison.x:P", "poison\n:Poison", "pоison:Poison"]
ODD += ["../poison:Poison", "poison:Poison()", "poison:__class__", " poison:Poison", "", "\x1b[2J", "x" * 100_000]


@pytest.mark.parametrize(
    "name", [*ODD, 3, 1.5, True, ["poison:Poison"], {"name": "poison:Poison"}], ids=lambda name: repr(name)[:20]
)
@pytest.mark.parametrize("kind", KINDS)
def test_no_odd_name_in_a_file_imports_anything(
    registry: Registry, marker: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: Any
) -> None:
    nothing_is_imported(monkeypatch)
    layer = parse_recipe(tomli_w.dumps({kind: {"name": name}}), "strange.toml")
    _, faults = resolve_layers(registry, [layer], [kind])
    assert len(faults) == 1
    assert len(str(faults[0])) < 3000
    assert not marker.exists()


@given(
    st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(codec="ascii")), st.sampled_from(":.- ")
)
def test_no_name_at_all_in_a_file_imports_what_is_not_registered(before: str, after: str, sign: str) -> None:
    registry = Registry.installed() if not REGISTRY else REGISTRY[0]
    REGISTRY[:] = [registry]
    layer = parse_recipe(tomli_w.dumps({"rule": {"name": f"{before}{sign}{after}"}}), "strange.toml")
    with pytest.MonkeyPatch.context() as patch:
        nothing_is_imported(patch)
        assert resolve_layers(registry, [layer], ["rule"])[1]


REGISTRY: list[Registry] = []


def nothing_is_imported(patch: pytest.MonkeyPatch) -> None:
    def refuse(target: str) -> None:
        raise AssertionError(f"{target} is imported")

    patch.setattr("eb_core.registry.catalog.resolve", refuse)


@pytest.mark.parametrize("text", ['recipe = "poison:Poison"', '[recipe]\nname = "poison"', '["poison:Poison"]\n'])
def test_a_file_has_no_section_that_imports_anything(eb: Eb, marker: Path, text: str) -> None:
    Path("own.toml").write_text(text)
    assert "unknown section" in eb("train", "--recipe", "own.toml").stderr
    assert not marker.exists()


MIRROR = {"name": "mnist", "download": True, "source": "http://localhost:9/mirror"}


@pytest.mark.parametrize("way", [way for way in COMMANDS if way != "eb evaluate"])
def test_no_command_downloads_from_an_address_that_a_file_names(
    eb: Eb, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    asked = calls_of_download(monkeypatch)
    run = strangers_run(trained, tmp_path, "dataset", **MIRROR)
    result = eb(*COMMANDS[way](run))
    assert result.exit_code == 2
    assert "option 'source' of dataset 'mnist' reaches outside this computer" in result.stderr
    assert "--trust" in result.stderr
    assert asked == []


def test_neither_does_evaluating_nor_a_call(
    eb: Eb, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = calls_of_download(monkeypatch)
    run = strangers_run(trained, tmp_path, "dataset", **MIRROR)
    assert "reaches outside" in eb("evaluate", run).stderr
    with pytest.raises(UsageError, match="reaches outside"):
        load_run_data(run)
    assert asked == []
    assert eb("evaluate", run, "--trust").exit_code != 0
    assert set(asked) == {"http://localhost:9/mirror"}


def calls_of_download(patch: pytest.MonkeyPatch) -> list[str | None]:
    asked = []

    def download(published: Any, source: str | None = None) -> None:
        asked.append(source)
        raise UsageError("no network here")

    patch.setattr("eb_datasets.images.download", download)
    patch.setenv("EB_DATA_DIR", "")
    patch.setattr("eb_datasets.folders.cache_folder", lambda name: Path("empty") / name)
    return asked


CHIP = """
from eb_core import configurable, option
from eb_dynamics_hopfield.block import Hopfield

@configurable
class Chip(Hopfield):
    address: str = option(default="localhost", help="where it listens", reaches_out=True)
    ports: tuple[int, ...] = option(default=(1, 2), help="which ports", reaches_out=True)
"""
OFFERS = """
@hookimpl
def eb_relaxers():
    return [
        Component("chip", "chip_parts:Chip"),
        Component("lab-chip", "chip_parts:Chip", preset={"address": "lab.example"}),
    ]
"""


@pytest.mark.parametrize(
    ("section", "refused"),
    [
        ({"name": "chip"}, None),
        ({"name": "chip", "address": "localhost", "ports": [1, 2]}, None),
        ({"name": "chip", "address": "evil.example"}, "address"),
        ({"name": "chip", "ports": [1, 2, 3]}, "ports"),
        ({"name": "lab-chip", "address": "lab.example"}, None),
        ({"name": "lab-chip", "address": "evil.example"}, "address"),
    ],
)
def test_an_address_in_a_file_is_refused_unless_the_package_itself_says_so(
    site: Site, section: dict[str, Any], refused: str | None
) -> None:
    (site.folder / "chip_parts.py").write_text(CHIP)
    site.install("chip", OFFERS)
    registry, text = site.registry(), tomli_w.dumps({"relaxer": section})
    _, faults = resolve_layers(registry, [parse_recipe(text, "a.toml")], ["relaxer"])
    assert [fault.what.split("'")[1] for fault in faults] == ([refused] if refused else [])
    assert resolve_layers(registry, [parse_recipe(text, "a.toml", vouch="")], ["relaxer"])[1] == []


def test_describe_says_which_option_reaches_out(eb: Eb) -> None:
    assert "reaches outside" in " ".join(eb("describe", "dataset", "mnist").stdout.split())
    rows = json.loads(eb("describe", "dataset", "mnist", "--json").stdout)["options"]
    assert [row["name"] for row in rows if row["reaches_out"]] == ["source"]
