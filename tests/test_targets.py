"""Where a command is told to write: refused in one error before any work, with nothing left behind."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from test_bad_input import GUARDED, errors, refused
from test_cli_runs import trained
from typer.testing import Result

from eb_core.training.targets import check_file, check_folder

Eb = Callable[..., Result]

LONG = "a" * 300


@pytest.fixture
def odd_places(eb: Eb) -> None:
    """In the current folder: links in a circle, a link to nothing, a file."""
    Path("loop").symlink_to("pool")
    Path("pool").symlink_to("loop")
    Path("dangling").symlink_to("nothing")
    Path("file").write_text("mine")


PLACES = [
    "",
    "~nosuch/x",
    "~/runs",
    LONG,
    "a/" * 3000,
    "loop",
    "loop/x",
    "dangling",
    "file",
    "/dev/null",
    "/proc/x",
    "a\0b",
]


@pytest.mark.usefixtures("odd_places")
@pytest.mark.parametrize("place", PLACES)
def test_a_folder_for_runs_that_cannot_be_is_refused_before_any_work(eb: Eb, place: str) -> None:
    before = sorted(os.listdir())
    said = refused(eb(*GUARDED, "--out", place))
    assert len(errors(said)) == 1
    assert errors(said)[0].startswith("no run can be written to ")
    assert len(said) < 5000
    assert sorted(os.listdir()) == before


def test_a_folder_that_can_be_made_passes_and_is_not_made(tmp_path: Path) -> None:
    check_folder(tmp_path / "deep" / "runs", "--out")
    (tmp_path / "link").symlink_to(tmp_path)
    check_folder(tmp_path / "link" / "runs", "--out")
    check_file(tmp_path / "plot.svg", "the plot", "--plot")
    assert [file.name for file in tmp_path.iterdir()] == ["link"]


@pytest.mark.usefixtures("odd_places")
@pytest.mark.parametrize(
    "place", ["loop/x.npz", "loop", "dangling/x", f"{LONG}.npz", "/dev/null", "/dev/full", ".", "none/x"]
)
def test_predictions_that_could_not_be_written_are_refused_before_any_work(eb: Eb, place: str) -> None:
    result = eb("evaluate", "no-run-is-looked-at", "--predictions", place)
    said = refused(result)
    assert errors(said)[0].startswith("the predictions cannot be written: ")


@pytest.mark.usefixtures("odd_places")
@pytest.mark.parametrize("place", ["loop/x.svg", f"{LONG}.svg", "~nosuch/x.svg", "/proc/x.svg", "", "folder.svg"])
def test_a_plot_that_could_not_be_drawn_is_refused_before_any_work(eb: Eb, place: str) -> None:
    Path("folder.svg").mkdir()
    said = refused(eb("relax", "--dataset", "tiny_parts:Untouchable", "--plot", place))
    assert len(errors(said)) == 1
    assert "--plot" in said


@pytest.mark.usefixtures("odd_places")
@pytest.mark.parametrize("place", ["file", "loop", "dangling", LONG, "nowhere", "~nosuch", "/dev/null"])
@pytest.mark.parametrize("line", [["runs"], ["compare", "RUN"], ["evaluate"], ["train", "--resume"]])
def test_what_is_no_run_and_no_folder_of_runs_is_one_error(eb: Eb, place: str, line: list[str]) -> None:
    line = [str(trained(eb)) if word == "RUN" else word for word in line]
    assert len(errors(refused(eb(*line, place)))) == 1


def test_a_run_compared_with_itself_and_by_another_path_is_the_same(eb: Eb) -> None:
    path = trained(eb)
    result = eb("compare", path, Path("runs", "..", path))
    assert result.exit_code == 0
    assert "the same recipe" in result.stdout


@pytest.mark.parametrize("name", ["net.safetensors", "net", "none/net.pt"])
def test_a_benchmark_refuses_a_net_that_it_would_write_in_vain(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    from ebl_dchn_nets import add_options

    parser = argparse.ArgumentParser()
    add_options(parser)
    assert parser.parse_args(["--net", "net.pt"]).net == Path("net.pt")
    with pytest.raises(SystemExit):
        parser.parse_args(["--net", name])
    assert "must end in .pt" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags",
    ["--beta nan", "--beta inf", "--beta 1e300", "--steps 1000000000000", "--repeats 1000000000", "--dtype int8"],
)
def test_extreme_numbers_for_relax_are_refused_before_any_work(eb: Eb, flags: str) -> None:
    said = refused(eb("relax", "--dataset", "tiny_parts:Untouchable", *flags.split()))
    assert flags.split(maxsplit=1)[0] in said


def test_a_dynamics_that_ends_nowhere_is_not_said_to_be_at_the_best_state(eb: Eb) -> None:
    result = eb(
        "relax", "--dataset", "tiny_parts:Tiny", "--batch", "4", "--model-opt", "gain=1e30", "--dtype", "float32"
    )
    assert "100%" in result.stdout.splitlines()[-3]


def test_a_gradient_of_zero_does_not_end_the_check(eb: Eb) -> None:
    result = eb("check", "--relaxer", "cim", "--energy", "cim", "--energy-opt", "pump=1e15")
    assert result.exit_code == 1
    assert "error" not in result.stderr
