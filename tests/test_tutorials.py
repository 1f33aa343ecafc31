"""Each tutorial is followed to its end: a new package, the files of the page in it, and what the page says of them."""

import re
import sys
from pathlib import Path

import pytest
from test_docs import BLOCK, NAMED, ROOT
from test_examples import run
from test_new_plugin import made


def files_of(page: Path) -> dict[str, str]:
    """File -> text, of the blocks of a page whose first line names a file."""
    bodies = [body for kind, body in BLOCK.findall(page.read_text(encoding="utf-8")) if kind in ("python", "toml")]
    return {first.group(1): body[first.end() :] for body in bodies if (first := NAMED.match(body))}


@pytest.fixture
def four_point(tmp_path: Path) -> Path:
    package = made("rule", tmp_path, "eb-four-point")
    for name, text in files_of(ROOT / "docs/tutorials/rule.md").items():
        assert (package / name).exists(), name
        (package / name).write_text(text)
    return package


def test_the_four_point_rule_keeps_its_promises_and_trains(four_point: Path, tmp_path: Path) -> None:
    said = run(["-m", "pytest", "-q", "-p", "no:cacheprovider", str(four_point)], four_point, tmp_path)
    assert re.search(r"8 passed", said)


def test_a_wrong_weight_is_found_by_the_check_that_the_page_names(
    four_point: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eb_core.testing import rule_suite

    file = four_point / "src/eb_four_point/four_point.py"
    file.write_text(file.read_text().replace("1.0: 8 / 12", "1.0: 8 / 11"))
    monkeypatch.syspath_prepend(str(four_point / "src"))
    from eb_four_point.four_point import FourPoint

    checks = {str(check): check for check in rule_suite(FourPoint())}
    assert list(checks) == re.findall(
        r"^([a-z]+(?: [a-z]+)?)  +passed", (ROOT / "docs/tutorials/rule.md").read_text(), re.M
    )
    assert checks["exact gradient"].run().verdict == "failed"
    for name in [name for name in sys.modules if name.startswith("eb_four_point")]:
        del sys.modules[name]
