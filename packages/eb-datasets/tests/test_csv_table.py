"""Your own table in a .csv file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eb_core import Data, UsageError
from eb_core.testing import check_dataset
from eb_datasets.csv_table import Csv, held_out


def load(tmp_path: Path, text: str, **options: Any) -> Data:
    (tmp_path / "table.csv").write_text(text, encoding=options.pop("encoding", "utf-8"))
    return Csv(file="table.csv", **{"test_share": 0.0, **options}).load(tmp_path)


def message(tmp_path: Path, text: str, **options: Any) -> str:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, text, **options)
    assert len(caught.value.faults) == 1, "one error"
    assert caught.value.faults[0].origin == str(tmp_path / "table.csv")
    return caught.value.faults[0].what


def test_csv_keeps_the_promises_of_a_data_set(tmp_path: Path) -> None:
    rows = [f"{number / 7},{-number},{'ab'[number % 2]}" for number in range(20)]
    (tmp_path / "table.csv").write_text("\n".join(rows))
    check_dataset(Csv(file="table.csv"), tmp_path)


def test_numbers_become_samples_and_the_last_column_their_class(tmp_path: Path) -> None:
    data = load(tmp_path, "0.5,-1,0\n1e-3,2,1\n")
    assert np.array_equal(data.train.x.numpy(), np.array([[0.5, -1], [1e-3, 2]], dtype=np.float32))
    assert (data.train.y.tolist(), data.classes, data.test, data.name) == ([0, 1], 2, None, "table.csv")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ("setosa virginica setosa versicolor", [0, 2, 0, 1]),
        ("10 9 9 -1", [2, 1, 1, 0]),
        ("b 10 9 b", [2, 0, 1, 2]),
        ("true false true true", [1, 0, 1, 1]),
    ],
)
def test_classes_are_numbered_in_sorted_order(labels: str, classes: list[int], tmp_path: Path) -> None:
    text = "".join(f"{row},{label}\n" for row, label in enumerate(labels.split()))
    assert load(tmp_path, text).train.y.tolist() == classes


@pytest.mark.parametrize(
    ("first", "rows"),
    [
        ("a,b,kind\n", 2),  # names over numbers
        ("0,1,kind\n", 2),  # only the class has a name that no class has
        (",b,kind\n", 2),  # an index without a name
        ("\n", 2),  # an empty line
        ("3,4,1\n", 3),
        ("", 2),
    ],
)
def test_a_header_is_found_out(first: str, rows: int, tmp_path: Path) -> None:
    assert len(load(tmp_path, f"{first}1,2,0\n5,6,1\n").train) == rows


def test_a_header_that_cannot_be_found_out_can_be_stated(tmp_path: Path) -> None:
    text = "0,1,kind\n1,2,cat\n5,6,dog\n"
    assert load(tmp_path, text).classes == 3, "taken for a sample"
    assert load(tmp_path, text, header=True).classes == 2
    assert load(tmp_path, text, label="kind").classes == 2
    assert "line 1, column 0 holds 'a'" in message(tmp_path, "a,b,kind\n1,2,0\n", header=False)


@pytest.mark.parametrize(("label", "column"), [(0, 0), (-3, 0), ("1", 1), ("-1", 2), ("kind", 1), (2, 2)])
def test_the_label_column_is_given_by_name_or_place(label: str | int, column: int, tmp_path: Path) -> None:
    table = np.array([[1, 2, 3], [4, 5, 6], [1, 5, 3]])
    text = "a, kind ,b\n" + "\n".join(",".join(map(str, row)) for row in table)
    data = load(tmp_path, text, label=label)
    assert data.train.x.tolist() == np.delete(table, column, axis=1).tolist()
    assert data.train.y.tolist() == np.unique(table[:, column], return_inverse=True)[1].tolist()


def test_other_delimiters_quotes_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    data = load(tmp_path, 'a;b;"kind"\r\n1;2;"x;y"\r\n3;4;z\r\n', delimiter=";")
    assert data.train.x.tolist() == [[1, 2], [3, 4]]
    assert data.classes == 2
    named = load(tmp_path, "kind,b\n1,2\n3,4\n", label="kind", encoding="utf-8-sig")
    assert named.train.x.tolist() == [[2], [4]], "the mark is no part of the first name"


def test_every_kth_sample_of_each_class_is_a_test_sample(tmp_path: Path) -> None:
    text = "".join(f"{row},{'ab'[row % 2]}\n" for row in range(20))
    data = load(tmp_path, text, test_share=0.2)
    assert data.test is not None
    assert data.test.x.flatten().tolist() == [8, 9, 18, 19]
    assert sorted([*data.train.x.flatten().tolist(), *data.test.x.flatten().tolist()]) == list(range(20))
    assert data.test.y.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("share", [0.1, 0.2, 0.25, 0.29, 0.3, 1 / 3, 0.5, 0.7, 0.9])
def test_the_share_of_test_samples_is_the_one_that_was_asked_for(share: float) -> None:
    y = np.repeat([0, 1, 2], [100, 40, 7])
    test = held_out(y, share)
    for one in range(3):
        assert test[y == one].sum() == int((y == one).sum() * share + 1e-9)
    assert not held_out(y, 0.0).any()


def test_no_class_loses_its_only_sample_to_the_test_split(tmp_path: Path) -> None:
    text = "".join(f"{row},a\n" for row in range(10)) + "10,b\n"
    data = load(tmp_path, text, test_share=0.2)
    assert 1 in data.train.y.tolist()
    assert data.classes == 2


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "it is empty"),
        ("\n\n", "it is empty"),
        ("1;2;3\n4;5;6\n", "its first line holds one cell"),
        ("a,b,kind\n", "it holds no samples"),
        ("1,2,0\n3,1\n", "line 2 holds 2 cells, the first one 3"),
        ("1,2,0\n\n3,4,5,1\n", "line 3 holds 4 cells, the first one 3"),
        ("a,b,kind\n1,2,0\n3,?,1\n", "line 3, column 1 holds '?'"),
        ("1,?,0\n3,2,1\n", "line 1, column 1 holds '?'"),
        ("1,2,0\n3,nan,1\n", "line 2, column 1 holds 'nan', expected is a finite number"),
        ("1,2,0\n3,1e39,1\n", "line 2, column 1 holds '1e39'"),
        ("1,2,0\n3,4,\n", "line 2 names no class"),
        ('1,2,0\n"3,4,1\n', "unexpected end of data"),
        ("1,2,0\n3,inf,1\n", "line 2, column 1 holds 'inf'"),
        ("1,2,0\n3,1e999,1\n", "line 2, column 1 holds '1e999'"),
        ("1,2,0\n3,1_000,1\n", "line 2, column 1 holds '1_000'"),
        ("1,2,0\n3,\uff11,1\n", "line 2, column 1 holds '\uff11'"),
        ("1,2,0\n3,\0,1\n", "line 2 holds a zero byte"),
        ("1,2,0\n3;4;1\n", "line 2 holds 1 cells, the first one 3"),
        ("1,2,0\n3,5;6,1\n", "line 2, column 1 holds '5;6'"),
        ("1,2,0\n3," + "x" * 1000 + ",1\n", "line 2, column 1 holds '" + "x" * 40 + "…', expected"),
        ("1,2,0\n3," + "1" * 200_000 + ",1\n", "field larger than field limit"),
        ("1,2,0\n" + "3," * 3_000_000 + "1\n", "line 2 is longer than 4,000,000 characters"),
        ("a,b,kind\n1,2,0\n3,4,0\n", "all its samples are of one class, '0'"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_line(text: str, complaint: str, tmp_path: Path) -> None:
    assert f"table.csv is no table of samples: {complaint}" in message(tmp_path, text)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"label": "species"}, "names no column 'species'"),
        ({"label": "a"}, "names no column 'a', or several"),
        ({"label": 3}, "there is no column 3, its lines hold 3 cells"),
        ({"label": -4}, "there is no column -4"),
        ({"delimiter": ",,"}, "the delimiter ',,' is no character that can stand between cells"),
        ({"delimiter": ""}, "the delimiter '' is no character"),
        ({"delimiter": "\n"}, "the delimiter '\\n' is no character"),
        ({"delimiter": '"'}, "the delimiter '\"' is no character"),
        ({"delimiter": "."}, "the delimiter '.' is no character"),
        ({"delimiter": "1"}, "the delimiter '1' is no character"),
        ({"test_share": 0.3}, "leaves no test sample"),
        ({"label": "kind", "header": False}, "names no column 'kind'"),
    ],
)
def test_options_that_do_not_fit_the_table_are_refused(options: Any, complaint: str, tmp_path: Path) -> None:
    assert complaint in message(tmp_path, "a,a,kind\n1,2,0\n3,4,1\n", **options)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("1,2,a\n3,4,é\n".encode("latin-1"), "line 2 cannot be decoded: byte 0xe9 at its character 4 is no UTF-8"),
        ("1,2,a\n3,4,b\n".encode("utf-16"), "line 1 cannot be decoded: byte 0xff at its character 0"),
        ("1,2,a\n3,4,b\n".encode("utf-16-le"), "line 1 holds a zero byte"),
        (b"1,2,a\n" * 50_000 + b"\xff", "line 50001 cannot be decoded: byte 0xff at its character 0"),
    ],
)
def test_what_is_no_utf_8_is_named_with_line_and_byte(content: bytes, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        Csv(file="table.csv").load(tmp_path)
    assert f"table.csv is no table of samples: {complaint}" in caught.value.faults[0].what
    assert "save the table as UTF-8" in caught.value.faults[0].what


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ("1 01 2 1.0 +2", [0, 0, 1, 0, 1]),
        ("20241103 -5 20241103 7", [2, 0, 2, 1]),
        ("1.0 10.0 9.0 1.0", [0, 2, 1, 0]),
        ("1 1.5 2 1", [0, 1, 2, 0]),
        ("\uff11 1 1 \uff11", [1, 0, 0, 1]),
        (f"{'9' * 300} 1 1 {'9' * 300}", [1, 0, 0, 1]),
        (f"{'9' * 9000} 1 1 {'9' * 9000}", [1, 0, 0, 1]),
    ],
)
def test_whole_numbers_are_one_class_however_they_are_written(labels: str, classes: list[int], tmp_path: Path) -> None:
    text = "".join(f"{row},{label}\n" for row, label in enumerate(labels.split()))
    assert load(tmp_path, text).train.y.tolist() == classes


def test_a_column_with_a_class_for_nearly_every_sample_is_not_taken_for_one(tmp_path: Path) -> None:
    rows = [f"{row / 3},{row % 2},{row * 7919 % 10007 / 10007}" for row in range(100)]
    text = message(tmp_path, "\n".join(rows))
    assert "its column of classes names 100 of them for 100 samples" in text
    assert "label=" in text
    assert load(tmp_path, "\n".join(rows), label=1).classes == 2
    few = "".join(f"{row},{row}\n" for row in range(10))
    assert load(tmp_path, few).classes == 10, "ten samples may be of ten classes"


def test_many_classes_take_no_longer_than_few(tmp_path: Path) -> None:
    y = np.arange(200_000) % 90_000
    assert held_out(y, 0.5).sum() == 90_000 + 20_000 - 20_000
