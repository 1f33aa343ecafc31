"""What the command does with a device: evaluate, train from weights, relax, describe, probe; and what it refuses."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import safetensors.torch
import torch
from cells import Cells
from device_parts import LOADED, Clouds
from foreign_physics import Centred, Chain, Descent
from noisy_board import Chip, NoisyBoard
from plugin_site import Site
from resume_parts import Killed, StopAt, clouds, outcome
from typer.testing import CliRunner, Result

import eb_core as eb
from eb_core import UsageError
from eb_core.cli.main import app
from eb_core.device import Drive, Readout
from eb_core.device.capabilities import Capabilities, read_capabilities, written
from eb_core.training import execute

Eb = Callable[..., Result]

NET = ["--model", "foreign_physics:Chain", "--energy", "cells:Cells", "--rule", "foreign_physics:Centred"]
SHORT = ["--epochs", "2", "--batch-size", "8", "--lr", "0.05", "--trainer-opt", "validation=0.25"]
SIMULATED = ["--relaxer", "foreign_physics:Descent"]
CHIP = ["--backend", "noisy_board:Chip"]
SERIAL = "on noisy_board:Chip: Chip B7, calibration: worst unit 0.25, units 7"


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Eb:
    """`eb`, in an empty folder, with no plugin but the core: no relaxer and no data set is installed."""
    monkeypatch.chdir(tmp_path)
    for variable, value in {
        "PLUGINS_ALLOW": "eb-core",
        "PLUGINS_DENY": "",
        "PLUGINS_PREFER": "",
        "TRACEBACK": "",
    }.items():
        monkeypatch.setenv(f"EB_{variable}", value)
    return lambda *line: CliRunner().invoke(app, [str(word) for word in line], catch_exceptions=False)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    made = Site(folder)
    yield made
    made.forget()


def good(result: Result) -> str:
    assert result.exit_code == 0, result.stderr
    return str(result.stdout)


def refused(result: Result, *told: str, code: int = 2) -> None:
    assert result.exit_code == code
    assert "Traceback" not in result.stderr
    for text in told:
        assert text in result.stderr


def trained(command: Eb, *more: str, data: str = "Clouds") -> Path:
    """A new run in `runs`; its rule, backend and all else may be typed."""
    before = {*Path("runs").glob("*")}
    good(command("train", *NET, "--dataset", f"device_parts:{data}", *SHORT, *more))
    (path,) = {*Path("runs").glob("*")} - before
    return path


def manifest_of(path: Path) -> Any:
    return json.loads((path / "manifest.json").read_text())


def weights_in(path: Path, name: str = "weights") -> dict[str, torch.Tensor]:
    return safetensors.torch.load((path / f"{name}.safetensors").read_bytes())


# evaluate


def test_a_simulated_run_is_evaluated_on_a_device_that_is_named_and_counted(command: Eb) -> None:
    run = trained(command, *SIMULATED)
    shown = good(command("evaluate", run, *CHIP, "--trust"))
    assert SERIAL in shown
    assert "used device 24 ms, 4 settles of 20 samples, 1 programming, 0.048 J" in shown
    assert "Descent" not in shown
    told = json.loads(good(command("evaluate", run, *CHIP, "--trust", "--json")))
    assert told["device"]["serial"] == "B7"
    assert told["usage"]["settles"] == 4
    assert "relaxer" not in told
    net = eb.load_run(run, backend=Chip(), trust=True)
    with net:
        assert net.score(Clouds().load()).accuracy == told["accuracy"]
    here = good(command("evaluate", run, "--trust"))
    assert "on simulator, relaxer foreign_physics:Descent" in here
    assert "used" not in here


def test_a_run_of_a_device_is_evaluated_on_it_and_in_simulation(command: Eb) -> None:
    run = trained(command, *CHIP)
    assert SERIAL in good(command("evaluate", run, "--trust"))
    shown = good(command("evaluate", run, "--backend", "simulator", *SIMULATED, "--trust"))
    assert "on simulator, relaxer foreign_physics:Descent" in shown
    assert "used" not in shown
    refused(command("evaluate", run, *SIMULATED, "--trust"), "settles by itself, and a relaxer would do nothing")


@pytest.mark.parametrize("data", ["Clouds", "Unforeseen"])
def test_a_device_that_does_not_fit_is_refused_before_data_are_loaded(command: Eb, data: str) -> None:
    run = trained(command, *SIMULATED, data=data)
    LOADED.clear()
    small = (*CHIP, "--backend-opt", "columns=5", "--trust")
    told = "the network has 7 units that settle, and the device has 5"
    for line in (["evaluate", run], ["train", "--from", run], ["train", "--from", run, "--dry-run"], ["relax", run]):
        refused(command(*line, *small), "backend 'noisy_board:Chip' does not fit model 'foreign_physics:Chain'", told)
    with pytest.raises(UsageError, match="has 7 units that settle, and the device has 5"):
        eb.load_run(run, backend=Chip(columns=5), trust=True)
    assert not LOADED


def test_only_a_rule_that_infers_by_itself_is_judged_where_nothing_is_learnt(command: Eb) -> None:
    run = trained(command, *SIMULATED, "--rule", "device_parts:Differentiating")
    assert SERIAL in good(command("evaluate", run, *CHIP, "--trust"))
    refused(command("train", "--from", run, *CHIP, "--trust"), "the rule differentiates through a simulation")
    other = trained(command, *SIMULATED, "--rule", "device_parts:OtherNet")
    refused(command("evaluate", other, *CHIP, "--trust"), "the rule differentiates through a simulation")


def test_what_is_clipped_is_refused_and_the_advice_of_the_refusal_works(command: Eb) -> None:
    run = trained(command, *SIMULATED)
    narrow = Capabilities(unit="cell", weight_range=(-0.01, 0.01), settle_seconds=0.002)
    Path("narrow.toml").write_text(written(narrow))
    lines: list[list[Any]] = [["evaluate", run], ["relax", run], ["train", "--from", run, "--epochs", "1"]]
    LOADED.clear()
    for line in lines:
        full = [*line, *CHIP, "--backend-opt", "probed=narrow.toml", "--trust"]
        refused(command(*full), "couplings clipped at 0.01: lower the gain of the model, or say --allow-lossy")
        assert not LOADED
        assert "couplings clipped at 0.01" in good(command(*full, "--allow-lossy"))
        LOADED.clear()


def test_a_device_that_cannot_be_closed_is_noted_with_the_result(command: Eb) -> None:
    run = trained(command, *SIMULATED)
    shown = good(command("evaluate", run, "--backend", "device_parts:Mute", "--trust"))
    assert "note: the backend could not be closed" in shown
    assert "accuracy" in shown
    shown = good(command("relax", run, "--backend", "device_parts:Mute", "--trust"))
    assert "note: the backend could not be closed" in shown


# train from the weights of a run


def test_a_training_begins_with_settings_and_weights_of_a_run_and_says_so(command: Eb) -> None:
    old = trained(command, *SIMULATED)
    new = trained_from(command, old, *CHIP, "--lr", "1e-12", "--epochs", "1")
    manifest, begun = manifest_of(new), weights_in(old)
    assert manifest["start"] == {
        "run": old.name,
        "path": str(old.absolute()),
        "weights": manifest_of(old)["weights"],
        "epoch": manifest_of(old)["best_epoch"],
    }
    assert "start" not in manifest_of(old)
    assert not (old / "start.safetensors").exists()
    for name, value in weights_in(new).items():
        assert torch.equal(weights_in(new, "start")[name], begun[name])
        assert torch.allclose(value, begun[name], rtol=0, atol=1e-9)
    recipe = manifest["recipe"]
    assert (recipe["backend"]["name"], recipe["trainer"]["batch_size"]) == ("noisy_board:Chip", 8)
    assert "relaxer" not in recipe
    assert manifest["notes"] == []
    shown = good(command("compare", old, new))
    assert f"began with fresh weights {old.name}" in " ".join(shown.split())
    assert "device time" in shown
    listed = json.loads(good(command("runs", "--json")))
    assert {one["name"]: one["start"] for one in listed} == {old.name: None, new.name: old.name}
    assert "device" in good(command("runs")).splitlines()[0]


def trained_from(command: Eb, old: Path, *more: str) -> Path:
    before = {*Path("runs").glob("*")}
    shown = good(command("train", "--from", old, "--trust", *more))
    assert f"from weights of {old.name}, epoch" in " ".join(shown.split())
    (path,) = {*Path("runs").glob("*")} - before
    again = next(line for line in shown.splitlines() if line.startswith("again"))
    assert again.split()[1:5] == ["eb", "train", "--from", str(old.absolute())]
    return path


def test_the_dry_run_names_the_weights_and_every_seed_begins_with_them(command: Eb) -> None:
    old = trained(command, *SIMULATED)
    told = json.loads(good(command("train", "--from", old, *CHIP, "--trust", "--dry-run", "--json")))
    assert told["start"]["weights"] == manifest_of(old)["weights"]
    assert told["estimate"]["settles"] == 4 * (2 * 4 + 1) + 2
    shown = good(command("train", "--from", old, "--trust", "--dry-run"))
    assert f"begins with  weights of {old.name}" in shown
    assert len([*Path("runs").iterdir()]) == 1
    good(command("train", "--from", old, "--trust", "--seeds", "2", "--epochs", "1"))
    starts = [weights_in(path, "start") for path in Path("runs").iterdir() if path.name != old.name]
    assert len(starts) == 2
    assert all(torch.equal(one["biases.output"], weights_in(old)["biases.output"]) for one in starts)


def test_another_net_is_one_error_that_names_the_parameter_and_both_shapes(command: Eb) -> None:
    old = trained(command, *SIMULATED)
    LOADED.clear()
    result = command("train", "--from", old, "--model", "resume_parts:Wide", "--trust")
    refused(
        result, f"weights of {old.name}, epoch", "'edges.input-hidden1.weight' is 3 x 4 there and 9 x 4 in this one"
    )
    assert f"from: --from {old}" in result.stderr
    assert result.stderr.count("error:") == 1
    assert not LOADED
    with pytest.raises(UsageError, match="is 3 x 4 there and 9 x 4 in this one"):
        eb.train("resume_parts:Wide", start=old, trust=True)


def test_what_is_no_run_or_has_no_weights_is_refused_and_from_does_not_go_with_resume(command: Eb) -> None:
    refused(command("train", "--from", "nowhere"), "nowhere is no run")
    old = trained(command, *SIMULATED)
    refused(
        command("train", "--from", old), "is not registered; a file may name no class", f"eb train --from {old} --trust"
    )
    refused(command("train", "--resume", old, "--from", old), "it does not go with --from")
    (old / "weights.safetensors").unlink()
    refused(command("train", "--from", old, "--trust"), "no weights")


@pytest.mark.parametrize("at", [(0, 2), (1, 2)])
def test_a_run_that_began_with_weights_goes_on_without_their_run(
    tmp_path: Path, at: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: dict[str, Any] = {"model": Chain(), "energy": Cells(), "rule": Centred(), "data": clouds()}
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 8, "lr": 0.05, "validation": 0.25}
    old = eb.train(**parts, relaxer=Descent(), out=tmp_path / "old", **settings).path
    assert old is not None
    begin: dict[str, Any] = {"start": old, "backend": Chip(), "data": clouds(), "trust": True, "lr": 0.02}
    whole = eb.train(**begin, out=tmp_path / "whole").path
    assert whole is not None
    with monkeypatch.context() as patch:
        patch.setattr(execute, "_record_end", lambda *_: None)
        with pytest.raises(Killed):
            eb.train(**begin, out=tmp_path / "part", observers=[StopAt(*at, Killed)])
    shutil.rmtree(old)
    (path,) = (tmp_path / "part").iterdir()
    assert (path / "checkpoint.safetensors").exists() is (at[0] > 0)
    eb.resume(path, data=clouds(), trust=True)
    assert outcome(path)[0] == outcome(whole)[0]
    fresh = eb.train(**parts, backend=Chip(), **(settings | {"lr": 0.02})).net.network.state_dict()
    assert {name: value.numpy().tobytes() for name, value in fresh.items()} != outcome(whole)[0]


def test_weights_that_a_run_began_with_and_that_were_changed_are_refused(tmp_path: Path) -> None:
    parts: dict[str, Any] = {"model": Chain(), "energy": Cells(), "rule": Centred(), "data": clouds(), "batch_size": 8}
    old = eb.train(**parts, relaxer=Descent(), out=tmp_path / "old", epochs=1).path
    with pytest.raises(Killed):
        eb.train(start=old, data=clouds(), trust=True, epochs=9, out=tmp_path / "new", observers=[StopAt(0, 2, Killed)])
    (path,) = (tmp_path / "new").iterdir()
    assert old is not None
    shutil.copy(path / "weights.safetensors", path / "start.safetensors")
    with pytest.raises(UsageError, match="the manifest has another digest"):
        eb.resume(path, data=clouds(), trust=True)


# relax


def test_relax_shows_what_a_device_did_and_nothing_of_a_simulation(command: Eb) -> None:
    run = trained(command, *SIMULATED)
    line = ["relax", run, *CHIP, "--trust", "--batch", "10"]
    shown = good(command(*line, "--beta", "0.5"))
    assert "Descent" not in shown.replace(run.name, "")
    assert "iterations" not in shown
    row = next(words.split() for words in shown.splitlines() if words.startswith("noisy_board:Chip "))
    # two parts of 6 and 4 samples, each nudged from where its free phase ended: 2 ms for each three samples
    assert row[1:4] == ["2", "8", "ms"]
    assert "noisy_board:Chip (B7): device" in shown
    told = json.loads(good(command(*line, "--json")))
    (device,) = told["backends"]
    assert device["used"]["settles"] == 2
    assert device["usage"]["programs"] == 1
    assert device["apart"] == 0
    net = eb.load_run(run, backend=Chip(), trust=True)
    with net:
        assert device["energy"] == pytest.approx(float(net.settle(Clouds().load().test.x[:10]).energy.mean()), rel=1e-5)
    noisy = json.loads(good(command(*line, "--backend-opt", "noise=0.1", "--json")))
    assert noisy["backends"][0]["apart"] > 0


def test_relax_counts_no_programming_and_nudges_each_part_from_its_own_free_state(
    command: Eb, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, calls, settle = trained(command, *SIMULATED), list[tuple[str, str]](), NoisyBoard.settle

    def logged(self: NoisyBoard, drive: Drive, deadline: float) -> Readout:
        calls.append((drive.phase, str(drive.start)))
        return settle(self, drive, deadline)

    monkeypatch.setattr(NoisyBoard, "settle", logged)
    line = ["relax", run, *CHIP, "--trust", "--batch", "10", "--repeats", "1", "--json"]
    told = json.loads(good(command(*line, "--beta", "0.5")))["backends"][0]
    assert calls == [("free", "reset"), *[("free", "reset"), ("nudged", "last")] * 2]
    assert told["used"] == pytest.approx({"settles": 2, "samples": 10, "seconds": 0.008, "joules": 0.016})
    assert told["apart"] is None


def test_a_run_of_a_device_relaxes_on_it_unless_a_simulation_is_asked_for(command: Eb) -> None:
    run = trained(command, *CHIP)
    assert json.loads(good(command("relax", run, "--trust", "--json")))["backends"][0]["facts"]["serial"] == "B7"
    simulated = json.loads(good(command("relax", run, "--trust", *SIMULATED, "--json")))
    assert simulated["notes"] == ["this is a simulation, and not backend 'noisy_board:Chip', as a relaxer is asked for"]
    assert "backends" not in simulated
    shown = good(command("relax", run, "--trust", "--backend", "simulator", *SIMULATED))
    assert "this is a simulation" not in shown


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ([*CHIP, *SIMULATED], "settles by itself, and a relaxer would do nothing"),
        ([*CHIP, "--steps", "9"], "--steps does nothing with backend 'noisy_board:Chip': a device has no iterations"),
        ([*CHIP, "--plot", "a.svg"], "--plot does nothing with backend 'noisy_board:Chip'"),
        ([*SIMULATED, "--backend-opt", "columns=9"], "options of a backend do nothing here"),
        (["--backend", "simulator", *SIMULATED, "--allow-lossy"], "options of a backend do nothing here"),
        ([*CHIP, "--backend-opt", "columns=5"], "the network has 7 units that settle, and the device has 5"),
        ([*CHIP, "--cost", "cross-entropy", "--beta", ".1"], "cannot settle a nudged phase: the cost is not quadratic"),
    ],
)
def test_relax_refuses_what_makes_no_sense(command: Eb, line: list[str], told: str) -> None:
    LOADED.clear()
    net = [*NET[:4], "--dataset", "device_parts:Clouds"]
    refused(command("relax", *net, *line), told)
    assert not LOADED
    assert "noisy_board:Chip" in good(command("relax", *net, *CHIP))


# what there is


def test_the_matrix_says_which_rule_can_train_on_which_backend(command: Eb, site: Site, monkeypatch: Any) -> None:
    site.install(
        "boards",
        """@hookimpl
def eb_backends():
    return [Component("chip", "noisy_board:Chip", "."), Component("lost", "device_parts:Unreadable", ".")]

@hookimpl
def eb_rules():
    centred, tbp = "foreign_physics:Centred", "device_parts:Differentiating"
    return [Component("centred", centred, "."), Component("bptt", tbp, ".")]
""",
    )
    monkeypatch.setenv("EB_PLUGINS_ALLOW", "eb-core,boards")
    told = json.loads(good(command("list-plugins", "--matrix", "--json")))
    found = {(one["rule"], one["backend"]): one for one in told["rules"]}
    assert found["centred", "chip"]["fits"]
    assert found["bptt", "simulator"]["fits"]
    assert "differentiates through a simulation" in found["bptt", "chip"]["reason"]
    assert "the capabilities cannot be read" in found["centred", "lost"]["reason"]
    shown = good(command("list-plugins", "--matrix"))
    assert "rules on backends" in shown
    assert "differentiates through a simulation" in shown
    listed = json.loads(good(command("describe", "backend", "lost", "--json")))
    assert "the capabilities cannot be read" in listed["fault"]
    assert "what it can do is not known: the capabilities cannot be read" in " ".join(
        good(command("describe", "backend", "lost")).split()
    )


def test_a_device_is_described_with_its_capabilities_those_of_its_options(command: Eb) -> None:
    line = ["describe", "backend", "noisy_board:Chip"]
    told = json.loads(good(command(*line, "--json")))["capabilities"]
    assert told["units"] == {"value": "A 8", "help": told["units"]["help"]}
    assert "field_range" not in told
    assert (
        json.loads(good(command(*line, "--backend-opt", "columns=5", "--json")))["capabilities"]["units"]["value"]
        == "A 5"
    )
    assert "it can" in good(command(*line))
    refused(command(*line, "--backend-opt", "colums=5"), "did you mean 'columns'?")
    refused(command("describe", "backend", "simulator", "--backend-opt", "polish=2"), "is no device")
    refused(command("describe", "cost", "squared-error", "--backend-opt", "polish=2"), "has no options of a backend")
    assert "it can" not in good(command("describe", "backend", "simulator"))


def test_what_a_probe_measured_is_kept_dated_and_used(command: Eb) -> None:
    shown = good(command("doctor", "--probe", "noisy_board:Chip", "--backend-opt", "noise=0.5"))
    (file,) = Path().glob("*.toml")
    assert file.name.startswith("Chip-B7-measured-20")
    again = f"eb train --backend noisy_board:Chip --backend-opt noise=0.5 --backend-opt probed={file}"
    assert again in shown
    kept = read_capabilities(file)
    assert kept.dated[:2] == "20"
    assert attrs.evolve(kept, dated="") == Chip().probe()
    before = file.read_text()
    refused(
        command("doctor", "--probe", "noisy_board:Chip"), f"{file} exists, and is not overwritten", "--out FILE.toml"
    )
    assert file.read_text() == before
    good(command("doctor", "--probe", "noisy_board:Chip", "--out", "other.toml", "--json"))
    assert read_capabilities(Path("other.toml")).units == {"A": 5}
    net = [*NET, "--dataset", "device_parts:Clouds", "--dry-run"]
    refused(command("train", *net, *CHIP, "--backend-opt", f"probed={file}"), "and the device has 5")


@pytest.mark.parametrize(
    ("line", "told", "code"),
    [
        (["--probe"], "no installed backend can be probed", 2),
        (["--probe", "simulator"], "backend 'simulator' measures nothing", 2),
        (["--probe", "device_parts:Mute"], "backend 'device_parts:Mute' measures nothing", 2),
        (["--probe", "device_parts:Meter"], "probe gave a dict, expected are Capabilities", 1),
        (["--probe", "device_parts:Meter", "--backend-opt", "mood=bad"], "cannot be probed: OSError: no such port", 1),
        (["--probe", "noisy_board:Chip", "--out", "no/folder.toml"], "no/folder.toml cannot be written", 2),
        (["noisy_board:Chip"], "'noisy_board:Chip' belongs to --probe", 2),
        (["--out", "a.toml"], "'--out a.toml' belongs to --probe", 2),
    ],
)
def test_what_cannot_be_probed_is_refused_and_leaves_no_file(
    command: Eb, line: list[str], told: str, code: int
) -> None:
    refused(command("doctor", *line), told, code=code)
    assert not [*Path().glob("*.toml")]


def test_the_only_device_that_can_be_probed_needs_no_name(command: Eb, site: Site, monkeypatch: Any) -> None:
    hook = '@hookimpl\ndef eb_backends():\n    return [Component("{}", "noisy_board:Chip", ".")]\n'
    site.install("one", hook.format("chip"))
    monkeypatch.setenv("EB_PLUGINS_ALLOW", "eb-core,one,two")
    assert "chip-B7-measured-20" in good(command("doctor", "--probe"))
    site.install("two", hook.format("chop"))
    refused(command("doctor", "--probe"), "there are 2 devices that can be probed", "name one: chip, chop")


@pytest.mark.parametrize(
    "said",
    [
        Capabilities(),
        Capabilities(
            unit="cell",
            units={"A": 3, "B": 4},
            ranges={"hidden": (0.0, 0.8)},
            weight_range=(-1.0, 1.0),
            weight_bits=8,
            starts=("reset", "last"),
            settle_seconds=1e-6,
            stochastic=True,
            serial='7 "b"',
        ),
    ],
)
def test_capabilities_are_read_again_as_they_were_written(tmp_path: Path, said: Capabilities) -> None:
    (tmp_path / "c.toml").write_text(written(said))
    assert read_capabilities(tmp_path / "c.toml") == said
