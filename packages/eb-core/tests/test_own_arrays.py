"""Own arrays in whatever form: what means real numbers is taken, all else is one error, and sizes are judged first."""

import hashlib
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from eb_core import Data, UsageError

X = torch.arange(12.0).reshape(4, 3)
Y = torch.tensor([0, 1, 1, 0])
ROWS = np.arange(12).reshape(4, 3)


class Table:
    """As much of a table of pandas as numpy asks for."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return X.numpy().astype(object)


class Stubborn:
    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise KeyError("mine")


def message(x: Any, y: Any = Y, **options: Any) -> str:
    with pytest.raises(UsageError) as caught:
        Data.from_arrays(x, y, **options)
    assert len(caught.value.faults) == 1, "one error"
    assert caught.value.faults[0].origin.startswith("own arrays")
    assert caught.value.faults[0].advice
    return caught.value.faults[0].what


def read_only(array: Any) -> Any:
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", ">f4", ">f8", "g", "?", "u1", "i1", "u2", ">u2", "u4", "u8", ">i8"])
def test_every_real_type_of_numpy_is_taken_with_its_values(kind: str) -> None:
    x = ROWS.astype(kind)
    data = Data.from_arrays(x, Y)
    assert np.array_equal(data.train.x.numpy(), x)
    assert data.train.take(torch.tensor([2])).x.double().tolist() == [x[2].astype(float).tolist()]
    assert len(data.checksum()) == 32
    labels = np.array([0, 1, 1, 0])
    if kind[-1] not in "f2f4f8g?":
        assert Data.from_arrays(X, labels.astype(kind)).train.y.tolist() == labels.tolist()


DTYPES = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.bool),
    *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32, torch.uint64),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_real_type_of_torch_is_taken_and_has_a_checksum_that_sees_each_value(dtype: torch.dtype) -> None:
    x = X.to(dtype)
    data = Data.from_arrays(x, Y)
    assert torch.equal(data.train.x.double(), x.double())
    other = X.clone()
    other[3, 2] = 0.0
    assert Data.from_arrays(other.to(dtype), Y).checksum() != data.checksum() == Data.from_arrays(x, Y).checksum()


def test_the_checksum_is_that_of_the_bytes_of_samples_and_labels() -> None:
    digest = hashlib.blake2b(digest_size=16)
    for tensor in (X, Y):
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    assert Data.from_arrays(X, Y).checksum() == digest.hexdigest()
    assert Data.from_arrays(X.T.contiguous().T, Y).checksum() == digest.hexdigest(), "however it lies in memory"


@pytest.mark.parametrize(
    "x",
    [
        ROWS[::-1].astype("f4")[::-1],
        np.asfortranarray(ROWS.astype("f4")),
        read_only(ROWS.astype("f4")),
        ROWS.astype("f4").astype(object),
        Table(),
        X.tolist(),
        list(X),
        list(X.numpy()),
        tuple(map(tuple, X.tolist())),
        X.to_sparse(),
        X.clone().requires_grad_(),
        torch.nn.Parameter(X.clone()),
        torch.complex(X, -X).conj().imag,
        X.T.contiguous().T,
    ],
)
def test_whatever_means_the_same_numbers_is_the_same_data(x: Any) -> None:
    data = Data.from_arrays(x, Y)
    assert torch.equal(data.train.x.float(), X)
    assert not data.train.x.requires_grad
    assert len(data.checksum()) == 32


def test_a_record_field_that_no_tensor_can_share_is_copied() -> None:
    records = np.zeros(4, dtype=[("a", "i1"), ("b", "f4", (3,))])
    records["b"] = ROWS
    assert Data.from_arrays(records["b"], Y).train.x.tolist() == ROWS.tolist()


def test_python_s_numbers_get_the_default_precision_and_numpy_s_keep_their_own() -> None:
    assert Data.from_arrays(X.tolist(), Y.tolist()).train.x.dtype == torch.float32
    assert Data.from_arrays(list(X.numpy().astype("f8")), Y).train.x.dtype == torch.float64
    assert Data.from_arrays(ROWS.tolist(), Y).train.x.dtype == torch.int64


@pytest.mark.parametrize(
    ("x", "complaint"),
    [
        ("text", "it holds text"),
        ([["1", "2"]] * 4, "it holds text"),
        (np.array([["a"]] * 4, dtype=object), "it holds text"),
        ([[1.0], [1.0, 2.0], [1.0], [1.0]], "inhomogeneous shape"),
        ([torch.zeros(2), torch.zeros(3)], "stack expects each tensor to be equal size"),
        ({1.0, 2.0}, "a set"),
        ((row for row in [[1.0]] * 4), "a generator"),
        ({"x": X}, "a dict"),
        (None, "a NoneType"),
        (object(), "a object"),
        ([[None]] * 4, "a list of objects"),
        ([[10**30]] * 4, "a list of objects"),
        ([[Fraction(1, 2)]] * 4, "a list of objects"),
        (np.full((4, 2), 2**64 - 1, dtype="u8"), "holds 18446744073709551615, and whole numbers end at 2^63 - 1"),
        (torch.full((4, 2), 2**64 - 1, dtype=torch.uint64), "whole numbers end at 2^63 - 1"),
        (np.zeros((4, 2), dtype=complex), "complex numbers"),
        (torch.zeros(4, 2, dtype=torch.complex64), "complex numbers"),
        (np.zeros((4, 2), dtype="M8[s]"), "dates"),
        (np.zeros(4, dtype=[("a", "f4")]), "records"),
        (np.ma.masked_array(ROWS, ROWS == 5), "masked"),
        (torch.zeros(4, 2, device="meta"), "meta tensor"),
        (Stubborn(), "mine"),
        (1.0, "no samples: x has shape ()"),
        ([], "no samples: x has shape (0,)"),
        (X[:, 0], "no samples: x has shape (4,)"),
        (X[:, :0], "no samples: x has shape (4, 0)"),
        (X[:0], "no samples: x has shape (0, 3)"),
        ([[1e300]] * 4, "nan or infinite"),
        (np.full((4, 1), np.longdouble("1e4000")), "nan or infinite"),
        (torch.full((4, 1), float("inf")).bfloat16(), "nan or infinite"),
        (torch.full((4, 1), float("nan")).to(torch.float8_e4m3fn), "nan or infinite"),
    ],
)
def test_samples_that_are_no_real_numbers_are_one_error(x: Any, complaint: str) -> None:
    assert complaint in message(x)


@pytest.mark.parametrize(
    ("y", "complaint"),
    [
        (["cat", "dog", "dog", "cat"], "y is no array of real numbers: it holds text"),
        (np.array(["cat"] * 4), "it holds text"),
        (Y.bool(), "labels of type torch.bool"),
        (Y.float(), "labels of type torch.float32"),
        (Y[:, None], "labels of shape (4, 1) for 4 samples"),
        (Y[:3], "labels of shape (3,) for 4 samples"),
        (0, "labels of shape () for 4 samples"),
        (None, "a NoneType"),
        (Y.to(torch.complex64), "complex numbers"),
        ([0, 1, 2, 10**30], "a list of objects"),
        (np.array([0, 1, 2, 2**63], dtype="u8"), "holds 9223372036854775808"),
        ([0, -1, 1, -2], "2 labels outside 0 … 1, the first is -1"),
        ([-1, -1, -1, -3], "4 labels outside 0 … -1"),
    ],
)
def test_labels_that_number_no_classes_are_one_error(y: Any, complaint: str) -> None:
    assert complaint in message(X, y)


def test_names_of_classes_come_with_the_advice_to_number_them() -> None:
    with pytest.raises(UsageError, match=r"for names of classes their numbers: numpy\.unique"):
        Data.from_arrays(X, ["cat", "dog", "dog", "cat"])


@pytest.mark.parametrize(
    ("y", "different"),
    [
        ([0, 1, 2, 10**9], 4),
        ([20241103, 20241104, 20241105, 20241105], 3),
        ([2019, 2020, 2021, 2024], 4),
        ([0, 255, 255, 0], 2),
        ([0, 0, 0, 2**62], 2),
        ([10, 10, 10, 10], 1),
    ],
)
def test_labels_that_hardly_number_classes_are_refused_before_a_class_is_made(y: list[int], different: int) -> None:
    text = message(X, y)
    assert text == f"labels go up to {max(y)}, but there are only {different} different ones"
    if max(y) < 2**31 - 1:
        assert Data.from_arrays(X, y, classes=max(y) + 1).classes == max(y) + 1, "unless their number is stated"


@pytest.mark.parametrize("y", [[5, 0, 4, 1], [9, 9, 9, 9], [0, 19, 0, 19], [0, 0, 0, 0], [3, 2, 1, 0]])
def test_a_few_samples_of_ordinary_classes_are_taken(y: list[int]) -> None:
    assert Data.from_arrays(X, y).classes == max(y) + 1


@pytest.mark.parametrize("classes", [0, -1, 2.0, True, "two", 10**30, [2], np.float64(2)])
def test_a_number_of_classes_that_is_none_is_refused(classes: Any) -> None:
    assert message(X, classes=classes).startswith("classes=")


def test_a_number_of_classes_may_come_from_numpy() -> None:
    assert type(Data.from_arrays(X, Y, classes=np.int64(3)).classes) is int


@pytest.mark.parametrize("test", [X, (X,), (X, Y, Y), "xy", {"x": X, "y": Y}])
def test_a_test_split_that_is_no_pair_is_refused(test: Any) -> None:
    assert message(X, test=test) == f"test is a {type(test).__name__}"


def test_what_is_wrong_with_the_test_split_is_said_of_it() -> None:
    with pytest.raises(UsageError, match="y is no array of real numbers: it holds text") as caught:
        Data.from_arrays(X, Y, test=(X, ["a"] * 4))
    assert caught.value.faults[0].origin == "own arrays, test"
    with pytest.raises(UsageError, match="1 labels outside 0 … 1, the first is 7"):
        Data.from_arrays(X, Y, test=(X, [0, 1, 1, 7]))
