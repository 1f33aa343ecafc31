"""What the documentation says is true: its files, its commands, its links, its code, its names."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from eb_core import Registry, train
from eb_core.registry import HOOKS

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "docs/examples/eb-dynamics-example"
TUTORIALS = {ROOT / "docs/writing-a-plugin.md": EXAMPLE, ROOT / "docs/devices.md": ROOT / "docs/examples/eb-board"}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EVERY_PAGE = [*PAGES, ROOT / "CHANGELOG.md", *sorted((ROOT / "packages").glob("*/README.md"))]

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# (\S+\.(?:py|toml))\n")
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"^\$ ((?:\w+=\S+ )*eb .*)$", re.MULTILINE)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    return [body for kind, body in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def named_blocks() -> dict[tuple[Path, str], str]:
    """Blocks of tutorials whose first line is a comment that names a file: (example, file) -> text below that line."""
    found = {}
    for page, example in TUTORIALS.items():
        for body in blocks(page, "python") + blocks(page, "toml"):
            first = NAMED.match(body)
            if first:
                found[example, first.group(1)] = body[first.end() :]
    return found


def commands() -> list[str]:
    return sorted({line for page in PAGES for line in COMMAND.findall("\n".join(blocks(page, "console")))})


@pytest.fixture
def example_installed(tmp_path, monkeypatch):
    """The examples as installed packages: their sources and entry points are on the path."""
    for example in TUTORIALS.values():
        project = tomllib.loads((example / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        name, version = project["name"], project["version"]
        info = tmp_path / "site" / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        points = [f"{point} = {module}" for point, module in project["entry-points"]["eb.plugins"].items()]
        (info / "entry_points.txt").write_text("\n".join(["[eb.plugins]", *points]) + "\n")
        monkeypatch.syspath_prepend(example / "src")
    monkeypatch.syspath_prepend(tmp_path / "site")


@pytest.fixture(scope="module")
def trained_run(tmp_path_factory) -> Path:
    result = train({"name": "mlp", "hidden": [8]}, epochs=1, out=tmp_path_factory.mktemp("docs") / "runs")
    assert result.path is not None
    return result.path


@pytest.mark.parametrize("example", TUTORIALS.values(), ids=name_of)
def test_the_tutorial_shows_every_file_of_the_example(example):
    files = {path.relative_to(example).as_posix() for path in example.rglob("*") if path.suffix in (".py", ".toml")}
    assert {file for shown, file in named_blocks() if shown == example} == files


@pytest.mark.parametrize(("example", "file"), named_blocks(), ids=str)
def test_a_block_of_the_tutorial_is_the_file_it_names(example, file):
    assert named_blocks()[example, file] == (example / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("line", commands())
def test_a_printed_command_works(line, example_installed, trained_run, monkeypatch):
    from eb_core.cli.main import main

    for variable in ("EB_PLUGINS_ALLOW", "EB_PLUGINS_DENY", "EB_TRACEBACK"):
        monkeypatch.setenv(variable, "")  # the command may set them; this puts them back afterwards
    words = shlex.split(line)
    while "=" in words[0]:
        variable, _, value = words.pop(0).partition("=")
        monkeypatch.setenv(variable, value)
    words = [str(trained_run) if word.startswith("runs/") else word for word in words]
    if words[1:2] == ["train"] and not {"--dry-run", "--resume"} & set(words):
        words.append("--dry-run")
    monkeypatch.chdir(trained_run.parents[1])
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code


@pytest.mark.parametrize("page", EVERY_PAGE, ids=name_of)
def test_relative_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in LINK.findall(text):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        assert (page.parent / target).exists(), link
        if anchor:
            there = (page.parent / target if target else page).read_text(encoding="utf-8")
            headings = [heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", there, re.MULTILINE)]
            assert anchor in headings, link


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name_of)
def test_the_python_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    for body in blocks(page, "python"):
        if not NAMED.match(body):
            exec(compile(body, name_of(page), "exec"), names)


@pytest.mark.parametrize("page", sorted((ROOT / "packages").glob("*/README.md")), ids=name_of)
def test_the_python_of_a_package_page_runs(page):
    names: dict[str, object] = {"__name__": "page"}
    for body in blocks(page, "python"):
        exec(compile(body, name_of(page), "exec"), names)


def test_the_pages_name_only_files_that_exist():
    sources = [*(ROOT / "packages").glob("*/src/**/*.py"), *(ROOT / "benchmarks").glob("**/*.py")]
    files = [path.as_posix() for path in sources]
    for page in PAGES:
        if page in TUTORIALS or EXAMPLE in page.parents:
            continue
        for name in re.findall(r"`([\w/]+\.py)`", page.read_text(encoding="utf-8")):
            assert any(path.endswith(f"/{name}") for path in files), f"{name_of(page)}: {name}"


def test_functions_that_the_architecture_names_exist():
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "packages").glob("*/src/**/*.py"))
    for owner, member in re.findall(r"`([A-Z]\w+)\.(\w+)`", text):
        assert re.search(rf"^class {owner}\b", source, re.MULTILINE), owner
        assert re.search(rf"^    (def )?{member}\b", source, re.MULTILINE), f"{owner}.{member}"
    for function in re.findall(r"`([a-z]+_[a-z_]+)`", text):
        assert re.search(rf"\b{function}\b", source), function


@pytest.mark.parametrize("kind", HOOKS.values())
def test_every_component_is_on_the_page_of_its_package(kind, registry):
    for offer in Registry.offers(registry, kind):
        page = ROOT / "packages" / offer.plugin.distribution / "README.md"
        if page.exists():
            assert f"`{offer.component.name}`" in page.read_text(encoding="utf-8"), f"{kind} {offer.component.name}"


def test_the_example_keeps_the_promises_of_a_relaxer(example_installed):
    from eb_dynamics_example.over_relaxed import OverRelaxed

    from eb_core.testing import check_relaxer
    from eb_dynamics_hopfield.energy import HopfieldEnergy

    assert check_relaxer(OverRelaxed(), HopfieldEnergy()) > 0


def test_the_example_trains_by_the_name_of_its_class_without_being_installed(tmp_path):
    command = "import sys; from eb_core.cli.main import main; sys.argv[0] = 'eb'; main()"
    relaxer = "eb_dynamics_example.over_relaxed:OverRelaxed"
    flags = ["train", "--relaxer", relaxer, "--relaxer-opt", "omega=1.5", "--epochs", "1", "--threads", "1"]
    ended = subprocess.run(
        [sys.executable, "-c", command, *flags],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(EXAMPLE / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "test accuracy" in ended.stdout
    assert len(list((tmp_path / "runs").iterdir())) == 1
