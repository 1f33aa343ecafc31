"""What reaches the terminal is data: no file, plugin or exception styles the output, steers the terminal or forges
a line."""

import ast
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plugin_site import Site
from rich.table import Table
from test_cli_runs import TINY, rewrite, trained
from typer.testing import Result

import eb_core
import eb_core.cli
from eb_core.cli.render import report
from eb_core.cli.terminal import Terminal, paragraphs, styled
from eb_core.registry import RunError
from eb_core.registry.wording import visible

Eb = Callable[..., Result]

HOSTILE = "\x1b[2J\x1b]0;title\x07[bold]x[/][/bold][@click=a]\x9b8m\u202etxt\u200b\t\x7f\r\nerror: forged"
SHOWN = r"\x1b[2J\x1b]0;title\x07[bold]x[/][/bold][@click=a]\x9b8m\u202etxt\u200b\t\x7f\r\nerror: forged"


def tame(text: str) -> str:
    """The text, which must hold nothing that a terminal obeys or hides but line ends."""
    assert all(sign.isprintable() or sign == "\n" for sign in text), repr(text)
    assert not re.search("^error: forged", text, re.MULTILINE)
    return text


def printed(*things: Any) -> str:
    """What a terminal with colours gets, without our own styles."""
    console = Terminal(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=400)
    for thing in things:
        console.print(thing)
    return re.sub(r"\x1b\[[\d;]*m", "", console.file.getvalue())


def test_control_characters_become_escapes_and_languages_stay_as_they_are() -> None:
    assert visible(HOSTILE) == SHOWN
    assert visible("Größe 数据\u3000données\u00a0: é😀") == "Größe 数据\u3000données\u00a0: é😀"
    assert visible("\udcff.csv") == r"\udcff.csv"


def test_errors_and_notices_are_tame_without_a_terminal_too() -> None:
    for raised in (eb_core.UsageError(HOSTILE, origin=HOSTILE, advice=HOSTILE), eb_core.Notice(HOSTILE)):
        assert str(raised).startswith(SHOWN)
        assert all(line.isprintable() for line in str(raised).splitlines())


def test_strings_cells_and_values_are_shown_literally_on_one_line() -> None:
    table = Table(HOSTILE)
    table.add_row(HOSTILE)
    shown = printed(HOSTILE, table, styled("[red]{}[/] {}", HOSTILE, HOSTILE))
    assert tame(shown).count(SHOWN) == 5
    assert len(shown.splitlines()) == 1 + 5 + 1


def test_a_value_takes_the_style_of_its_place_and_values_cannot_make_a_tag_together() -> None:
    text = styled("{}[bold]{}[/]{}", "[", "red]", "[/]")
    assert text.plain == "[red][/]"
    assert [(text.plain[span.start : span.end], span.style) for span in text.spans] == [("red]", "bold")]
    assert styled("{} of {}", "{}", 3).plain == "{} of 3"
    with pytest.raises(ValueError, match="zip"):
        styled("{} {}", "one value")


def test_a_docstring_keeps_its_lines_and_nothing_else() -> None:
    assert printed(paragraphs("one [i]\n\ttwo \x1b[2J\x0b")) == "one [i]\n        two \\x1b[2J\n"


def test_no_module_of_the_command_reads_markup_but_the_one_that_keeps_data_out_of_it() -> None:
    sources = {file: file.read_text() for file in Path(eb_core.cli.__file__).parent.glob("*.py")}
    for file, source in sources.items():
        if file.name == "terminal.py":
            continue
        assert not re.search(r"rich\.(markup|console)|from_markup", source), file
        if "from rich.text import Text" in source:
            calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
            made = [call for call in calls if getattr(call.func, "id", "") == "Text"]
            assert all(isinstance(argument, ast.Constant) for call in made for argument in call.args), file


def test_runs_and_compare_show_a_forged_manifest_as_it_is(eb: Eb) -> None:
    paths = [trained(eb), trained(eb, "--seed", "1")]
    for path in paths:
        manifest = json.loads((path / "manifest.json").read_text())
        recipe = manifest["recipe"]
        recipe["model"] |= {"name": HOSTILE, "[/red]": f"{HOSTILE} {path.name}"}
        rewrite(path, recipe=recipe)
    weird = paths[0].rename(paths[0].with_name("[bold]\x1b]0;x\x07\nrun"))
    for line in (["runs"], ["compare", weird, paths[1]]):
        result = eb(*line)
        assert result.exit_code == 0
        assert r"[bold]\x1b]0;x\x07\nrun" in tame(result.stdout)
        assert SHOWN in result.stdout
    assert json.loads(eb("runs", "--json").stdout)[1]["model"] == HOSTILE


def test_plugins_components_and_options_are_shown_as_they_are(eb: Eb, site: Site) -> None:
    (site.folder / "hostile_parts.py").write_text(
        "import eb_core as eb\nfrom eb_core.physics.squared_error import SquaredError\n"
        f"@eb.configurable\nclass Hostile(SquaredError):\n    __doc__ = {HOSTILE[:-15]!r}\n"
        f"    text: str = eb.option(default={HOSTILE!r}, help={HOSTILE!r}, unit={HOSTILE!r})\n"
    )
    record = f'Component("hostile", "hostile_parts:Hostile", {HOSTILE!r}, {{"text": {HOSTILE!r}}}, recipe={HOSTILE!r})'
    site.install("hostile", f"@hookimpl\ndef eb_costs():\n    return [{record}]\n")
    site.install("raising", f"raise RuntimeError({HOSTILE!r})")
    for line in (["list-plugins"], ["describe", "cost", "hostile"], ["doctor"]):
        result = eb(*line)
        assert "[/bold]" in tame(result.stdout) + tame(result.stderr)


def test_names_that_were_typed_come_back_as_they_are(eb: Eb) -> None:
    for line in (
        ["evaluate", HOSTILE],
        ["runs", HOSTILE],
        ["train", "--model", HOSTILE],
        ["train", "--recipe", HOSTILE],
    ):
        result = eb(*line)
        assert result.exit_code == 2
        assert len(re.findall("^error:", tame(result.stderr), re.MULTILINE)) == 1
        assert "[bold]x[/][/bold]" in result.stderr


@pytest.mark.parametrize("line", [["doctor", HOSTILE], ["evaluate", "a", HOSTILE], ["runs", f"--{HOSTILE}"]])
def test_a_line_that_cannot_be_read_is_said_to_be_so_without_harm(eb: Eb, line: list[str]) -> None:
    result = eb(*line)
    assert result.exit_code == 2
    assert r"\x1b[2J" in tame(result.stderr)


def test_a_dry_run_shows_hostile_values_and_origins_as_they_are(eb: Eb) -> None:
    name = "a[bold]\nb.toml"
    Path(name).write_text("[dataset]\nname = 'csv'\nfile = \"\\u001b[2J[/].csv\"\n")
    result = eb("train", "--recipe", name, "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert r"\x1b[2J[/].csv" in tame(result.stdout)
    assert r"a[bold]\nb.toml" in result.stdout


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "what", "advice"),
    [
        (Unspeakable(), "Unspeakable (its text cannot be shown: ValueError)", "--traceback"),
        (RuntimeError(HOSTILE), r"RuntimeError: \x1b[2J\x1b]0;title\x07[bold]x[/]", "--traceback"),
        (RuntimeError("\n".join(map(str, range(4000)))), "RuntimeError: 0 1 2", "--traceback"),
        (RuntimeError("x" * 100_000), "xxx … xxx", "--traceback"),
        (RecursionError("maximum recursion depth exceeded"), "RecursionError: maximum", "--traceback"),
        (MemoryError(), "not enough memory", "a smaller batch_size"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
            "memory: RuntimeError: Default",
            "batch_size",
        ),
        (OSError(28, "No space left on device", "a\nb"), r"No space left on device: a\nb", "make room on the disk"),
        (PermissionError(13, "Permission denied"), "Permission denied", "ask for permission"),
        (BrokenPipeError(32, "Broken pipe"), "Broken pipe", "--traceback"),
        (SystemExit(0), "SystemExit: 0", "--traceback"),
    ],
)
def test_an_error_that_nobody_expected_is_short_and_says_what_to_do(
    capsys: pytest.CaptureFixture[str], error: BaseException, what: str, advice: str
) -> None:
    assert report(error) == 1
    said = tame(capsys.readouterr().err)
    assert what in said
    assert advice in said
    assert len(said) < 2500


def test_a_group_of_errors_says_each_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    group = ExceptionGroup("two", [RunError("the first", advice="wait"), ExceptionGroup("one", [KeyError("b")])])
    group.__notes__ = ["a \x1b[2J\nnote", Unspeakable()]
    assert report(group) == 1
    said = tame(capsys.readouterr().err)
    assert "error: the first\n  try:  wait\nerror: KeyError: 'b'" in said
    assert r"a \x1b[2J\nnote" in said


def test_a_traceback_that_was_asked_for_is_tame_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EB_TRACEBACK", "1")
    report(RuntimeError("\x1b[2J[bold]"))
    assert r"RuntimeError: \x1b[2J[bold]" in tame(capsys.readouterr().err)


def test_a_component_that_ends_the_process_does_not_make_a_success_of_it(eb: Eb, site: Site) -> None:
    (site.folder / "quitting.py").write_text(
        "from eb_rules.equilibrium_propagation import EquilibriumPropagation\nimport eb_core as eb\n"
        "@eb.configurable\nclass Quitter(EquilibriumPropagation):\n"
        "    def estimate(self, *args, **more):\n        raise SystemExit(0)\n"
    )
    result = eb(*TINY, "--rule", "quitting:Quitter")
    assert result.exit_code == 1
    assert "error: SystemExit: 0" in result.stderr


def test_completion_is_silent_whatever_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from eb_core.cli.choices import names_of

    def broken() -> None:
        raise RuntimeError("no registry today")

    monkeypatch.setattr("eb_core.cli.choices.Registry.installed", broken)
    assert names_of("relaxer")("") == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("columns", ["0", "1"])
def test_a_terminal_without_width_still_gets_everything(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    table = Table(box=None)
    for _ in range(4):
        table.add_column(overflow="fold")
    table.add_row("abcdefghij", "klmnopqrst", "uvwxyz", "0123")
    console = Terminal(file=io.StringIO())
    console.print(table)
    assert set("".join(console.file.getvalue().split())) == set("abcdefghijklmnopqrstuvwxyz0123")
