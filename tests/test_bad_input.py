"""Bad input to the command: said at once, in words, with its origin and a cure, before any data is loaded."""

from collections.abc import Callable
from pathlib import Path

import pytest
from plugin_site import Site
from typer.testing import Result

Eb = Callable[..., Result]

GUARDED = ["train", "--dataset", "tiny_parts:Untouchable"]
"""A training that fails as soon as it loads data."""


def refused(result: Result, exit_code: int = 2) -> str:
    """What was said on stderr: errors in three lines each, nothing on stdout, no traceback."""
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert "Traceback" not in result.stderr
    assert "the data was loaded" not in result.stderr
    return result.stderr


def errors(stderr: str) -> list[str]:
    return [line.removeprefix("error: ") for line in stderr.splitlines() if line.startswith("error: ")]


@pytest.mark.parametrize(
    ("flags", "what", "origin", "advice"),
    [
        ("--rule c-eq", "no rule is called 'c-eq'", "--rule c-eq", "did you mean 'c-ep'"),
        ("--model mpl", "no model is called 'mpl'", "--model mpl", "did you mean 'mlp'"),
        ("--recipe mpl", "no recipe is called 'mpl'", "--recipe mpl", "did you mean 'mlp'"),
        ("--rule-opt betta=1", "rule 'c-ep' has no option 'betta'", "--rule-opt betta=1", "did you mean 'beta'?"),
        ("--trainer-opt epoch=1", "the trainer has no option 'epoch'", "--trainer-opt epoch=1", "'epochs'"),
        ("--rule-opt beta", "'beta' is not KEY=VALUE", "--rule-opt", "write for example"),
        ("--rule-opt =1", "'=1' is not KEY=VALUE", "--rule-opt", "write for example"),
        ("--rule-opt name=c-ep", "'name' is no option of a rule", "--rule-opt name=c-ep", "write --rule NAME"),
        ("--rule-opt beta=strong", "must be a number, not 'strong'", "--rule-opt beta=strong", "try:"),
        ("--rule-opt beta=true", "must be a number, not True", "--rule-opt beta=true", "try:"),
        ("--rule-opt beta=nan", "must be finite, not nan", "--rule-opt beta=nan", "try:"),
        ("--lr inf", "must be finite, not inf", "--lr inf", "learning rate"),
        ("--lr 0", "must be > 0, not 0", "--lr 0", "learning rate"),
        ("--epochs 1.5", "must be a whole number, not 1.5", "--epochs 1.5", "passes"),
        ("--epochs 0", "must be >= 1, not 0", "--epochs 0", "passes"),
        ("--batch-size true", "must be a whole number, not True", "--batch-size true", "samples"),
        ("--dtype float16", "must be one of float32 | float64", "--dtype float16", "precision"),
        ("--model-opt hidden=wide", "must be a whole number, not 'wide'", "--model-opt hidden=wide", "units"),
        ("--model-opt hidden=[0]", "must be >= 1, not 0", "--model-opt hidden=[0]", "units"),
        ("--device abacus", "device 'abacus' cannot be used", "[trainer] device", "--device cpu"),
        ("--device meta", "device 'meta' cannot be used", "[trainer] device", "--device cpu"),
        ("--device hpu", "device 'hpu' cannot be used", "[trainer] device", "--device cpu"),
        ("--device xla", "device 'xla' cannot be used", "[trainer] device", "--device cpu"),
        ("--device cuda:99", "device 'cuda:99' cannot be used", "[trainer] device", "--device cpu"),
        ("--threads 1000000", "must be >= 1, <= 256, not 1000000", "--threads 1000000", "CPU threads"),
        ("--lr 1e300", "must be at most 1e+30 in size, not 1e+300", "--lr 1e300", "learning rate"),
        ("--lr 1e400", "must be finite, not inf", "--lr 1e400", "learning rate"),
        (f"--epochs {'9' * 400}", "not a whole number of about 400 digits", "--epochs 999", "passes"),
        (f"--epochs {'9' * 5000}", "must be a whole number, not '999", "--epochs 999", "passes"),
        (f"--seed {2**63 - 1} --seeds 2", "must be a whole number of at most 64 bits", "--seeds", "lower seed"),
        ("--rule C-EP", "no rule is called 'C-EP'", "--rule C-EP", "did you mean 'c-ep'?"),
        ("--model Mlp", "no model is called 'Mlp'", "--model Mlp", "did you mean 'mlp'?"),
        ("--model own.toml", "no model is called 'own.toml'", "--model own.toml", "--recipe own.toml"),
        ("--recipe runs/x", "no recipe is called 'runs/x'", "--recipe runs/x", "RUN/recipe.toml"),
        ("--relaxer tiny_parts:Choosy", "takes only frozen hydrogen", "--relaxer, --energy", "choose another relaxer"),
        ("--recipe gone.toml", "recipe file cannot be read", "--recipe gone.toml", "check the path"),
    ],
)
def test_wrong_usage_is_refused_before_data_is_loaded(eb: Eb, flags: str, what: str, origin: str, advice: str) -> None:
    said = refused(eb(*GUARDED, *flags.split()))
    assert len(errors(said)) == 1
    assert what in errors(said)[0]
    assert origin in said
    assert advice in said
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ("MNIST", "did you mean 'mnist'?"),
        ("Fashion MNIST", "did you mean 'fashion-mnist'?"),
        ("./mine.csv", "--dataset csv --dataset-opt file=./mine.csv"),
        ("my own.npz", "--dataset npz --dataset-opt 'file=my own.npz'"),
        ("C:mine.CSV", "--dataset csv --dataset-opt file=C:mine.CSV"),
        ("there.dat", "--dataset csv --dataset-opt file=there.dat"),
        ("own.toml", "--recipe own.toml"),
    ],
)
def test_a_file_or_a_name_in_other_letters_gets_the_right_hint(eb: Eb, typed: str, advice: str) -> None:
    Path("there.dat").touch()
    assert advice in refused(eb("train", "--dataset", typed))


@pytest.mark.parametrize("line", ["--beta nan", "--beta inf", f"--steps {'9' * 400}", f"--batch {'9' * 400}"])
def test_relaxing_with_an_extreme_number_is_wrong_usage(eb: Eb, line: str) -> None:
    assert refused(eb("relax", *line.split()))


def test_a_network_that_no_memory_holds_is_one_error(eb: Eb) -> None:
    for units in (10**12, 10**18):
        result = eb("train", "--json", "--model-opt", f"hidden={units}")
        assert errors(refused(result))[0].startswith("the network cannot be built")


@pytest.mark.parametrize(
    ("text", "what", "advice"),
    [
        ("[trainer]\nepoch = 3", "the trainer has no option 'epoch'", "did you mean 'epochs'"),
        ("[traner]\nepochs = 3", "unknown section [traner]", "did you mean 'trainer'"),
        ("[rule]\nname = 'c-eq'", "no rule is called 'c-eq'", "did you mean 'c-ep'"),
        ("[trainer]\nlr = nan", "must be finite, not nan", "learning rate"),
        ("[trainer]\nepochs = true", "must be a whole number, not True", "passes"),
        ("[trainer\n", "not valid TOML", "mend the file"),
        ("rule = 'c-ep'", "'rule' must be a table", "write [rule]"),
    ],
)
def test_a_bad_recipe_file_is_refused_with_its_name(eb: Eb, text: str, what: str, advice: str) -> None:
    Path("own.toml").write_text(text)
    said = refused(eb(*GUARDED, "--recipe", "own.toml"))
    assert len(errors(said)) == 1
    assert what in errors(said)[0]
    assert "from: own.toml" in said
    assert advice in said


def test_all_problems_of_a_command_are_reported_together(eb: Eb) -> None:
    Path("own.toml").write_text("[modle]\n")
    flags = "--model mpl --rule-opt beta=nan --rule-opt betta=1 --lr 0 --relaxer-opt steps --recipe own.toml"
    said = refused(eb(*GUARDED, *flags.split(), "--recipe", "lost", "--out", "own.toml/runs"))
    assert [error.split(";")[0].partition(": ")[0] for error in errors(said)] == [
        "'steps' is not KEY=VALUE",
        "unknown section [modle]",
        "no recipe is called 'lost'",
        "no run can be written to own.toml/runs",
        "no model is called 'mpl'",
        "rule 'c-ep' has no option 'betta'",
        "option 'beta' of rule 'c-ep' must be finite, not nan",
        "option 'lr' of the trainer must be > 0, not 0",
    ]


def test_plugin_trouble_is_reported_together_with_wrong_usage(eb: Eb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EB_PLUGINS_DENY", "eb-rules")
    said = refused(eb(*GUARDED, "--lr", "0", "--model-opt", "hidden"), exit_code=3)
    assert len(errors(said)) == 3
    assert "rule 'c-ep' comes from eb-rules, which is disabled" in said


def test_a_plugin_in_trouble_matters_only_to_those_who_use_it(eb: Eb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EB_PLUGINS_DENY", "eb-datasets")
    assert refused(eb("train", "--dry-run"), exit_code=3)
    assert eb(*GUARDED, "--dry-run").exit_code == 0


@pytest.mark.parametrize("flags", [["--modle", "mlp"], ["--seeds", "0"], ["--seeds", "two"], ["--epochs"]])
def test_a_flag_that_is_not_understood_is_wrong_usage(eb: Eb, flags: list[str]) -> None:
    assert refused(eb(*GUARDED, *flags))


def test_an_unknown_command_is_wrong_usage(eb: Eb) -> None:
    assert "trian" in refused(eb("trian"))


@pytest.mark.parametrize("below", ["", "/runs", "/deep/runs"])
def test_an_output_folder_that_cannot_be_written_is_refused_before_any_work(eb: Eb, below: str) -> None:
    Path("file").write_text("in the way")
    said = refused(eb(*GUARDED, "--out", f"file{below}"))
    assert f"no run can be written to file{below}" in said
    assert "choose another folder" in said


@pytest.mark.parametrize(
    ("dataset", "what", "origin"),
    [
        ("Empty", "no samples: x has shape (0, 4)", "nothing, training"),
        ("WrongLabels", "2 labels outside 0 … 1, the first is 2", "mislabelled, training"),
    ],
)
def test_unusable_data_is_refused_and_leaves_no_run(eb: Eb, dataset: str, what: str, origin: str) -> None:
    result = eb("train", "--json", "--dataset", f"tiny_parts:{dataset}")
    said = refused(result)
    assert errors(said) == [what]
    assert f"from: {origin}" in said
    assert not Path("runs").exists()


def test_a_validation_share_that_leaves_nothing_is_refused(eb: Eb) -> None:
    result = eb("train", "--json", "--dataset", "tiny_parts:Tiny", "--trainer-opt", "validation=.001")
    assert "leaves an empty split" in refused(result)


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("raise SystemExit(0)", "cannot be imported: SystemExit: 0"),
        ("import a_dependency_that_is_not_here", "No module named 'a_dependency_that_is_not_here'"),
        ("class Rule:\n    pass", "is not a subclass of Rule"),
        ("import eb_core\n@eb_core.configurable\nclass Rule(eb_core.Rule):\n    pass", "it lacks estimate"),
    ],
)
def test_a_component_that_cannot_be_used_is_plugin_trouble(eb: Eb, site: Site, source: str, what: str) -> None:
    (site.folder / "shaky.py").write_text(source)
    hook = '@hookimpl\ndef eb_rules():\n    return [Component("shaky", "shaky:Rule")]\n'
    site.install("shaky-rules", hook)
    said = refused(eb(*GUARDED, "--rule", "shaky"), exit_code=3)
    assert what in said
    assert "shaky:Rule" in said
    assert eb(*GUARDED, "--dry-run").exit_code == 0


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (["nowhere"], "nowhere is no run"),
        (["."], "is no run"),
        (["nowhere", "--dataset-opt", "features=3"], "options of a data set without its name"),
    ],
)
def test_evaluating_what_is_no_run_is_wrong_usage(eb: Eb, line: list[str], what: str) -> None:
    assert what in refused(eb("evaluate", *line))


def test_evaluating_with_damaged_weights_is_wrong_usage(eb: Eb) -> None:
    assert eb("train", "--dataset", "tiny_parts:Tiny", "--model-opt", "hidden=[4]", "--epochs", "1").exit_code == 0
    (run,) = Path("runs").iterdir()
    (run / "weights.safetensors").write_bytes(b"not weights at all")
    assert "the weights do not fit" in refused(eb("evaluate", run))


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        (
            "--model mlp --model-opt lateral=true --energy oim --relaxer oim-newton",
            "relaxer 'oim-newton' does not fit model 'mlp': its Hessian is written from dense edges",
        ),
        ("--model dchn4", "a convolutional network needs images"),
    ],
)
def test_what_does_not_fit_the_network_is_refused_before_data_are_loaded_whose_form_is_known(
    eb: Eb, flags: str, what: str
) -> None:
    result = eb("train", "--dataset", "tiny_parts:Foreseen", *flags.split())
    assert what in refused(result)
    assert len(errors(result.stderr)) == 1
    assert eb("train", "--dataset", "tiny_parts:Foreseen", *flags.split(), "--dry-run").exit_code == 2
