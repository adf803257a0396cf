"""What is attacked: every reader of files from strangers, and small whole files to begin from, made here."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np

from tests.fuzz import decoded, kept
from tests.fuzz.base import Reader, read_checkpoint, read_image, read_volume

RECIPE = """
name: x
scale: 2
generator: {name: rrdb, features: 8, blocks: 1, growth: 4}
data: {crop: 32, degrade_crop: 48, validation: 0.1, multiscale: {scales: [0.75, 0.5], shortest_edge: 40}}
degradation: {name: high-order, pool: 8, first: {resize_range: [0.25, 1.5], kernel_sizes: [7, 21]}}
losses: {l1: {weight: 1.0}, gan: {weight: 0.1, kind: vanilla}}
discriminator: {name: unet-sn, features: 8}
optimizer: {learning_rate: 1.0e-4, betas: [0.9, 0.99]}
iterations: 6
batch: 2
"""
CARD = """
name: x
title: x
licence: x
files: {image: "{subject:[a-z]+}_{id}.png", mask: ["{subject}_{id}_m.gif"]}
expected: {images: 5, size: [10, 20]}
split: {train: 0.5, validation: 0.25, test: 0.25, seed: 1}
ground_truth: {multiscale: {scales: [0.5], shortest_edge: 20}, crop: 32, stride: 16}
"""


def _pixels(dtype: type, channels: int = 1) -> np.ndarray:
    top = np.iinfo(dtype).max
    return (np.random.default_rng(0).random((12, 10, channels)) * top).astype(dtype).squeeze()


def _pictures() -> dict[str, bytes]:
    import tifffile
    from PIL import Image as Pillow

    found = {}
    kinds = (("a.png", "RGB", "PNG"), ("a.jpg", "L", "JPEG"), ("b.jpg", "RGB", "JPEG"), ("a.bmp", "L", "BMP"))
    for name, mode, form in kinds:
        stream = io.BytesIO()
        Pillow.fromarray(_pixels(np.uint8, 3 if mode == "RGB" else 1)).save(stream, form)
        found[name] = stream.getvalue()
    stream = io.BytesIO()
    Pillow.fromarray(_pixels(np.uint8, 3)).convert("P").save(stream, "PNG")
    found["palette.png"] = stream.getvalue()
    stream = io.BytesIO()
    Pillow.fromarray(_pixels(np.uint16)).save(stream, "PNG")
    found["sixteen.png"] = stream.getvalue()
    for name, pixels, compression in (("a.tif", _pixels(np.uint16), None), ("b.tif", _pixels(np.uint8, 3), "zlib")):
        stream = io.BytesIO()
        tifffile.imwrite(stream, pixels, compression=compression)
        found[name] = stream.getvalue()
    stream = io.BytesIO()
    Pillow.fromarray(_pixels(np.uint8, 3)).save(stream, "TIFF", compression="jpeg")  # with tables of their own
    found["jpeg.tif"] = stream.getvalue()
    stream = io.BytesIO()
    Pillow.fromarray(_pixels(np.uint8, 3)).save(stream, "JPEG", progressive=True)
    found["progressive.jpg"] = stream.getvalue()
    found["a.pgm"] = b"P5\n4 3\n255\n" + bytes(range(12))
    return found


def _dicom() -> dict[str, bytes]:
    from pydicom.data import get_testdata_file

    return {name: Path(get_testdata_file(name)).read_bytes() for name in ("CT_small.dcm", "MR_small.dcm")}


def _volume(kind: str) -> dict[str, bytes]:
    import tempfile

    import nibabel
    import SimpleITK

    data = (np.random.default_rng(0).random((5, 6, 4)) * 1000).astype(np.int16)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        if kind == "nifti":
            for name, image in (
                ("a.nii", nibabel.Nifti1Image(data, np.diag([1, 2, 3, 1.0]))),
                ("b.nii", nibabel.Nifti2Image(data.astype(np.float32), np.eye(4))),
                ("c.nii.gz", nibabel.Nifti1Image(np.stack([data, data], 3), np.eye(4))),
            ):
                nibabel.save(image, Path(folder, name))
        elif kind == "mgh":
            nibabel.save(nibabel.MGHImage(data.astype(np.float32), np.eye(4)), Path(folder, "a.mgh"))
            nibabel.save(nibabel.MGHImage(data.astype(np.int32), np.eye(4)), Path(folder, "b.mgz"))
        else:
            image = SimpleITK.GetImageFromArray(data)
            for name, packed in (("a", False), ("b", True)):
                SimpleITK.WriteImage(image, str(Path(folder, f"{name}.{kind}")), packed)
        for path in Path(folder).iterdir():
            found[path.name] = path.read_bytes()
    return found


def _checkpoints() -> dict[str, bytes]:
    import tempfile

    import torch

    from medsr.networks import checkpoint

    spec = checkpoint.Spec("rrdb", 2, 1, {"features": 4, "blocks": 1, "growth": 2})
    state = spec.build().state_dict()
    stream = io.BytesIO()
    torch.save({"params_ema": state}, stream)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.safetensors")
        checkpoint.save(path, state, spec)
        return {"a.safetensors": path.read_bytes(), "a.pth": stream.getvalue()}


def _archives() -> dict[str, bytes]:
    content = bytes(range(256)) * 4
    packed, tar = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/1.png", content)
        file.writestr("2.png", content)
    with tarfile.open(fileobj=tar, mode="w") as file:
        for name in ("a/1.png", "2.png"):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    seeds = {"a.zip": packed.getvalue(), "a.tar": tar.getvalue(), "a.tar.gz": gzip.compress(tar.getvalue())}
    return seeds | {"1.png.gz": gzip.compress(content)}


def _manifest() -> dict[str, bytes]:
    from medsr.data.manifest import ManifestRow, render

    row = ManifestRow("train/a.png", "a", "ann", "train", "image", "x", "10x20", True, "a.png", "0" * 64, "1" * 64)
    return {"manifest.csv": render([row]).encode()}


def _read_series(path: Path) -> object:
    """The file as one of three slices."""
    import shutil

    import pydicom
    from pydicom.data import get_testdata_file

    folder = path.parent / "series"
    folder.mkdir(exist_ok=True)
    if not (folder / "1.dcm").is_file():
        for number in (1, 2):
            dataset = pydicom.dcmread(get_testdata_file("MR_small.dcm"))
            x, y, z = dataset.ImagePositionPatient
            dataset.ImagePositionPatient = [x, y, z + 5 * number]
            dataset.SOPInstanceUID = f"1.2.3.{number}"
            dataset.save_as(folder / f"{number}.dcm")
    shutil.copy(path, folder / "0.dcm")
    return read_volume(folder)


def _read_recipe(path: Path) -> object:
    from medsr.recipe import load

    return load(path)


def _read_card(path: Path) -> object:
    from medsr.data.cards import load

    return load(path)


def _read_manifest(path: Path) -> object:
    from medsr.data import manifest

    return [row.height_width for row in manifest.read(path.parent) or () if row.file]


def _read_archive(path: Path) -> object:
    import shutil

    from medsr.commands.prepare import archives

    out = path.parent / "unpacked"
    try:
        return archives.unpack(path, out, lambda name: name.endswith(".png"))
    finally:
        shutil.rmtree(out, ignore_errors=True)


READERS = (
    {
        "pictures": Reader(read_image, _pictures),
        "dicom": Reader(read_image, _dicom, ("odd/dicom_*/*.dcm",)),
        "series": Reader(_read_series, lambda: {"MR_small.dcm": _dicom()["MR_small.dcm"]}, ("odd/dicom_*/*.dcm",)),
        "nifti": Reader(read_volume, lambda: _volume("nifti"), ("odd/*/*.nii", "odd/*/*.nii.gz")),
        "mgh": Reader(read_volume, lambda: _volume("mgh"), ("odd/*/*.mg[hz]",)),
        "nrrd": Reader(read_volume, lambda: _volume("nrrd"), ("odd/*/*.nrrd",)),
        "metaimage": Reader(read_volume, lambda: _volume("mha"), ("odd/*/*.mha",)),
        "checkpoints": Reader(read_checkpoint, _checkpoints),
        "archives": Reader(_read_archive, _archives),
        "recipes": Reader(_read_recipe, lambda: {"a.yml": RECIPE.encode()}),
        "cards": Reader(_read_card, lambda: {"a.yml": CARD.encode()}),
        "manifests": Reader(_read_manifest, _manifest),
    }
    | decoded.READERS
    | kept.READERS
)
