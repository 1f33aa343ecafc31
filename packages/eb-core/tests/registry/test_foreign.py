"""A stranger's code at import: it ends no command, changes nothing that others use, and is named while it is slow."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from plugin_site import Site

from eb_core.registry import Component, PluginError, Registry
from eb_core.registry import foreign as guard
from eb_core.registry.foreign import foreign
from eb_core.registry.suites import packaged_text

GOOD = '@hookimpl\ndef eb_rules():\n    return [Component("good", "some.module:Good", "works")]\n'


@pytest.mark.parametrize(
    "call",
    [
        "import os; os._exit(0)",
        "from os import _exit; _exit(0)",
        "import sys; sys.modules[__import__('os').name]._exit(0)",
        "import os; os.abort()",
        "import os; os.execv('/bin/true', ['true'])",
        "import os; os.execlp('true', 'true')",
        "import os, threading; t = threading.Thread(target=os._exit, args=(0,)); t.start(); t.join()",
    ],
)
def test_a_plugin_that_ends_the_process_is_broken_and_the_others_work(site: Site, call: str) -> None:
    """In a process of its own: where this fails, nobody is left to tell."""
    site.install("toy", GOOD)
    site.install("zz-bad", call + "\n")
    script = (
        "from plugin_site import Site; from pathlib import Path; import sys\n"
        "for one in Site(Path(sys.argv[1])).plugins().values(): print(one.distribution, one.status, one.faults)"
    )
    paths = [str(site.folder), str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", script, str(site.folder)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    toy, bad = done.stdout.splitlines()
    assert toy.startswith("toy ok")
    assert bad.startswith("zz-bad broken")
    assert "called os." in bad


def test_a_hook_a_component_and_a_recipe_that_end_the_process_are_faults(site: Site) -> None:
    site.install("half", GOOD + "@hookimpl\ndef eb_costs():\n    import os; os._exit(0)\n")
    half = site.plugins()["half"]
    assert [one.name for one in half.components["rule"]] == ["good"]
    assert "it called os._exit" in half.faults[0].what
    (site.folder / "leaves.py").write_text("import os\nos._exit(0)\n")
    with pytest.raises(PluginError, match=r"it called os\._exit"):
        Registry([]).load("rule", Component("leaves", "leaves:Rule"))
    with pytest.raises(PluginError, match=r"it called os\._exit"):
        packaged_text("recipe", Component("leaves", "leaves:a.toml"))


def test_a_thread_that_was_there_before_and_a_forked_child_end_as_they_like() -> None:
    script = """
import os, threading
from eb_core.registry.foreign import foreign
begin = threading.Event()
thread = threading.Thread(target=lambda: (begin.wait(), os._exit(3)))
thread.start()
with foreign("something"):
    child = os.fork()
    if not child:
        os._exit(4)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4
    begin.set()
    thread.join()
"""
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=False).returncode == 3


def test_afterwards_the_process_can_be_ended_as_ever() -> None:
    ends = [os._exit, os.abort, os.execv, os.execve]
    with pytest.raises(ZeroDivisionError), foreign("something"):
        1 / 0  # noqa: B018
    assert [os._exit, os.abort, os.execv, os.execve] == ends


@pytest.mark.parametrize(
    "change",
    [
        "import os; os.chdir('/')",
        "import sys; sys.stdout = None",
        "import sys; sys.stderr = None",
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)",
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    ],
)
def test_what_a_plugin_changes_for_everybody_is_put_back(site: Site, change: str) -> None:
    def state() -> list[object]:
        return [os.getcwd(), sys.stdout, sys.stderr, *map(signal.getsignal, (signal.SIGINT, signal.SIGTERM))]

    before = state()
    site.install("meddler", change + "\n" + GOOD)
    assert site.plugins()["meddler"].status == "ok"
    assert state() == before


@pytest.mark.parametrize(
    "source",
    [
        "raise GeneratorExit",
        "raise StopIteration",
        "raise BaseExceptionGroup('both', [KeyboardInterrupt(), ValueError()])",
        "def deeper():\n    deeper()\ndeeper()",
        "raise ValueError('long\\n' * 1_000_000)",
        "class Mute(Exception):\n    def __str__(self):\n        raise RuntimeError\nraise Mute",
        "class Mute(Exception):\n    def __str__(self):\n        raise SystemExit(0)\nraise Mute",
        "class Mute(ModuleNotFoundError):\n    def __str__(self):\n        raise SystemExit(0)\nraise Mute",
    ],
)
def test_whatever_a_plugin_raises_is_one_short_fault_of_its_own(site: Site, source: str) -> None:
    site.install("odd", source + "\n")
    site.install("toy", GOOD)
    plugins = site.plugins()
    assert (plugins["odd"].status, plugins["toy"].status) == ("broken", "ok")
    (fault,) = plugins["odd"].faults
    assert "\n" not in fault.what
    assert len(fault.what) < 1200


def test_a_component_whose_error_cannot_be_shown_is_the_packages_fault(site: Site) -> None:
    (site.folder / "mute.py").write_text("class Mute(Exception):\n    def __str__(self):\n        1 / 0\nraise Mute\n")
    with pytest.raises(PluginError, match=r"Mute \(its text cannot be shown: ZeroDivisionError\)"):
        Registry([]).load("rule", Component("mute", "mute:Rule"))


def test_a_plugin_that_is_waited_for_is_named_on_stderr(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(guard, "PATIENCE", 0.05)
    site.install("toy", GOOD)
    assert site.plugins()["toy"].seconds < 0.05
    assert capsys.readouterr() == ("", "")
    site.install("sleepy", "import time; time.sleep(.2)\n" + GOOD)
    assert site.plugins()["sleepy"].seconds > 0.2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "waiting for plugin 'sleepy' of sleepy: EB_PLUGINS_DENY=sleepy leaves it out\n"


def test_a_component_that_is_waited_for_is_named_on_stderr(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(guard, "PATIENCE", 0.05)
    (site.folder / "sleepy_part.py").write_text("import time; time.sleep(.2)\n")
    with pytest.raises(PluginError):
        Registry([]).load("rule", Component("slow", "sleepy_part:Rule"))
    assert capsys.readouterr().err == "waiting for rule 'slow' to be imported (sleepy_part:Rule)\n"


def test_the_watch_ends_with_the_work() -> None:
    before = threading.active_count()
    for _ in range(50):
        with foreign("something"):
            pass
    time.sleep(0.05)
    assert threading.active_count() <= before + 1
