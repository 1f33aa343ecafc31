"""Downloads, from a server on this machine that holds small files in the published formats."""

import hashlib
import shutil
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import attrs
import pytest

from eb_core import UsageError
from eb_datasets import cifar10, cifar100, fashion_mnist, mnist, svhn
from eb_datasets.published import CIFAR10, CIFAR100, FASHION_MNIST, MNIST, SVHN, File, Published

Write = Callable[..., Any]


class Quiet(SimpleHTTPRequestHandler):
    """A server that notes what it is asked for and prints nothing."""

    asked: list[str]

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        super().do_GET()


@attrs.frozen
class Mirror:
    """A folder that is served, its address, and what was asked for."""

    folder: Path
    address: str
    asked: list[str]


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        server.asked = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Mirror(folder, f"http://127.0.0.1:{server.server_port}", server.asked)  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


def publish(mirror: Mirror, published: Published) -> Published:
    """The table of files as it would be, had the files that are served been published."""
    files = [mirror.folder / file.name for file in published.files]
    facts = [File(one.name, one.stat().st_size, hashlib.md5(one.read_bytes()).hexdigest()) for one in files]
    return attrs.evolve(published, source=mirror.address, files=tuple(facts))


@pytest.fixture
def served(mirror: Mirror, write_idx: Write, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """A mirror that serves a small MNIST, which is what the package takes for the published one."""
    write_idx(mirror.folder)
    monkeypatch.setattr(mnist, "MNIST", publish(mirror, MNIST))
    return mirror


def test_nothing_is_downloaded_unless_asked_for(served: Mirror, machine: Path) -> None:
    with pytest.raises(UsageError, match="mnist is not on this computer"):
        mnist.Mnist().load()
    assert served.asked == []
    assert not machine.exists()


def test_missing_files_are_downloaded_once_into_the_cache_folder(served: Mirror, machine: Path) -> None:
    data = mnist.Mnist(download=True).load()
    assert data.checksum() == mnist.Mnist().load(served.folder).checksum()
    assert sorted(served.asked) == sorted(f"/{file.name}" for file in MNIST.files)
    assert sorted(path.name for path in (machine / "cache" / "eb" / "mnist").iterdir()) == sorted(
        file.name for file in MNIST.files
    )
    assert mnist.Mnist(download=True).load().checksum() == data.checksum()
    assert mnist.Mnist().load().checksum() == data.checksum()
    assert len(served.asked) == 4, "what is in the cache is not fetched again"


def test_an_interrupted_download_is_completed(served: Mirror, machine: Path) -> None:
    mnist.Mnist(download=True).load()
    (machine / "cache" / "eb" / "mnist" / MNIST.files[2].name).unlink()
    with pytest.raises(UsageError, match="not complete without t10k-images"):
        mnist.Mnist().load()
    mnist.Mnist(download=True).load()
    assert served.asked[4:] == [f"/{MNIST.files[2].name}"]


def test_files_that_the_user_has_are_not_downloaded(served: Mirror, machine: Path) -> None:
    mnist.Mnist(download=True).load(served.folder)
    assert served.asked == []
    (served.folder / MNIST.files[0].name).unlink()
    with pytest.raises(UsageError, match="not complete without train-images"):
        mnist.Mnist(download=True).load(served.folder)
    assert served.asked == [], "nor mixed with the user's"


def test_a_mirror_can_be_named(served: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist, "MNIST", attrs.evolve(mnist.MNIST, source="http://127.0.0.1:9/nowhere"))
    with pytest.raises(UsageError, match="cannot be downloaded") as caught:
        mnist.Mnist(download=True).load()
    assert caught.value.faults[0].origin == f"http://127.0.0.1:9/nowhere/{MNIST.files[0].name}"
    assert "source=URL" in caught.value.faults[0].advice
    shutil.copytree(served.folder, served.folder / "copy")
    assert len(mnist.Mnist(download=True, source=f"{served.address}/copy/").load().train) == 30
    assert served.asked == [f"/copy/{file.name}" for file in MNIST.files]


def test_a_file_with_another_checksum_is_refused_and_not_kept(served: Mirror, machine: Path) -> None:
    name = MNIST.files[1].name
    (served.folder / name).write_bytes(b"something else")
    with pytest.raises(UsageError) as caught:
        mnist.Mnist(download=True).load()
    fault = caught.value.faults[0]
    assert len(caught.value.faults) == 1
    assert f"{name} of mnist cannot be downloaded" in fault.what
    assert "does not match the known hash" in fault.what
    assert hashlib.md5(b"something else").hexdigest() in fault.what
    assert mnist.MNIST.files[1].md5 in fault.advice
    assert [path.name for path in (machine / "cache" / "eb" / "mnist").iterdir()] == [MNIST.files[0].name]


def test_a_file_that_the_server_does_not_have_is_one_error(served: Mirror) -> None:
    (served.folder / MNIST.files[3].name).unlink()
    with pytest.raises(UsageError, match=r"t10k-labels-idx1-ubyte\.gz of mnist cannot be downloaded.*404"):
        mnist.Mnist(download=True).load()


def test_an_address_that_is_none_is_one_error(served: Mirror) -> None:
    with pytest.raises(UsageError, match=r"train-images-idx3-ubyte\.gz of mnist cannot be downloaded"):
        mnist.Mnist(download=True, source="nonsense").load()


def test_without_pooch_the_error_says_what_to_install(served: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(UsageError) as caught:
        mnist.Mnist(download=True).load()
    assert caught.value.faults[0].advice == "pip install eb-datasets[download]"
    assert len(mnist.Mnist(download=True).load(served.folder).train) == 30, "not needed where the files are there"


def test_fashion_mnist_is_downloaded_into_a_folder_of_its_own(
    mirror: Mirror, machine: Path, write_idx: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_idx(mirror.folder)
    monkeypatch.setattr(fashion_mnist, "FASHION_MNIST", publish(mirror, FASHION_MNIST))
    assert len(fashion_mnist.FashionMnist(download=True).load().train) == 30
    assert [path.name for path in (machine / "cache" / "eb").iterdir()] == ["fashion-mnist"]


def test_cifar10_is_downloaded_as_its_archive(
    mirror: Mirror, tmp_path: Path, write_cifar: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar(tmp_path / "cifar-10-batches-py")
    with tarfile.open(mirror.folder / CIFAR10.files[0].name, "w:gz") as archive:
        archive.add(tmp_path / "cifar-10-batches-py", "cifar-10-batches-py")
    monkeypatch.setattr(cifar10, "CIFAR10", publish(mirror, CIFAR10))
    assert len(cifar10.Cifar10(download=True).load().train) == 50
    assert len(cifar10.Cifar10().load().train) == 50


def test_cifar100_is_downloaded_as_its_archive(
    mirror: Mirror, tmp_path: Path, write_cifar100: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar100(tmp_path / "cifar-100-python")
    with tarfile.open(mirror.folder / CIFAR100.files[0].name, "w:gz") as archive:
        archive.add(tmp_path / "cifar-100-python", "cifar-100-python")
    monkeypatch.setattr(cifar100, "CIFAR100", publish(mirror, CIFAR100))
    assert len(cifar100.Cifar100(download=True).load().train) == 120
    assert len(cifar100.Cifar100().load().train) == 120


def test_svhn_is_downloaded_as_its_two_files(
    mirror: Mirror, machine: Path, write_svhn: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_svhn(mirror.folder)
    monkeypatch.setattr(svhn, "SVHN", publish(mirror, SVHN))
    assert len(svhn.Svhn(download=True).load().train) == 30
    assert mirror.asked == ["/train_32x32.mat", "/test_32x32.mat"]
    assert len(list((machine / "cache" / "eb" / "svhn").iterdir())) == 2


@pytest.mark.parametrize("published", [MNIST, FASHION_MNIST, CIFAR10, CIFAR100, SVHN], ids=lambda one: one.name)
def test_the_published_table_is_well_formed(published: Published) -> None:
    assert published.source.startswith("http")
    assert not published.source.endswith("/")
    for file in published.files:
        assert len(file.md5) == 32
        assert int(file.md5, 16) > 0
        assert file.size > 4000
