"""The registries of formats: what an entry says about a format is so, and the documents say the same."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from medsr.core.errors import UsageError
from medsr.core.references import resolve
from medsr.io.file_type import content_of
from medsr.io.images import formats as image_formats
from medsr.io.images import image as image_io
from medsr.io.images.base import Image, window_of
from medsr.io.images.formats import ImageFormat
from medsr.io.volumes import formats as volume_formats
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes import volume_files
from medsr.io.volumes.base import Volume
from medsr.io.volumes.formats import NUMBERS, VolumeFormat

ROOT = Path(__file__).parents[2]
ENTRIES = (*image_formats.FORMATS, *volume_formats.FORMATS)
WRITTEN_FREELY = [entry for entry in image_formats.WRITTEN if not entry.own_only]
WRITTEN_VOLUMES = [entry for entry in volume_formats.FORMATS if entry.writer]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_function_that_an_entry_names_is_there(entry: ImageFormat | VolumeFormat) -> None:
    texts = [getattr(entry, field.name) for field in fields(entry)]
    references = [text for text in texts if isinstance(text, str) and re.fullmatch(r"medsr(\.\w+)+:\w+", text)]
    assert entry.reader in references
    assert all(callable(resolve(reference)) for reference in references)


def test_no_two_formats_share_a_suffix() -> None:
    for registry in (image_formats.FORMATS, volume_formats.FORMATS):
        suffixes = [suffix for entry in registry for suffix in entry.suffixes]
        assert len(suffixes) == len(set(suffixes))


@pytest.mark.parametrize("entry", WRITTEN_FREELY, ids=lambda entry: entry.name)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("transparent", [False, True])
def test_an_image_format_stores_what_its_entry_says(
    tmp_path: Path, entry: ImageFormat, dtype: str, transparent: bool
) -> None:
    pixels = (np.arange(48).reshape(6, 8, 1) * (5 if dtype == "uint8" else 1365)).astype(dtype)
    image = Image(pixels, window_of(pixels.dtype), entry.name, pixels[:, :, 0] if transparent else None)
    path = tmp_path / f"a{entry.suffix}"
    if dtype not in entry.dtypes or (transparent and not entry.alpha):
        with pytest.raises(UsageError, match=f"{entry.name} cannot hold"):
            image_io.write(path, image)
        return
    image_io.write(path, image)
    assert content_of(path).suffix == entry.suffix
    result = image_io.read(path)
    assert result.kind == entry.name
    assert result.pixels.dtype == dtype
    assert (result.alpha is not None) == transparent
    np.testing.assert_allclose(result.pixels, pixels, atol=6 if entry.name == "JPEG" else 0)


@pytest.mark.parametrize("entry", WRITTEN_VOLUMES, ids=lambda entry: entry.name)
@pytest.mark.parametrize("dtype", NUMBERS)
def test_a_volume_format_stores_what_its_entry_says(tmp_path: Path, entry: VolumeFormat, dtype: str) -> None:
    stored = np.arange(60).reshape(3, 4, 5).astype(dtype)
    path = tmp_path / f"scan{entry.suffix}"
    volume = Volume(stored, np.diag([1.0, 2.0, 3.0, 1.0]))
    if not any(np.can_cast(dtype, held, "safe") for held in entry.dtypes):
        with pytest.raises(UsageError, match=f"cannot hold {dtype} values"):
            volume_io.check_writable(path, volume)
        return
    volume_io.check_writable(path, volume)
    volume_io.write(path, volume)
    result = volume_io.read(path)
    assert (result.stored.dtype == dtype) == (dtype in entry.dtypes)
    np.testing.assert_array_equal(result.stored, stored)
    np.testing.assert_allclose(result.affine, volume.affine)
    assert set(tmp_path.iterdir()) == set(volume_files.files_of(path))


def test_a_format_that_cannot_turn_a_picture_refuses_a_turned_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its turn it would be shown lying."""
    upright = ImageFormat("Toy", (".toy",), lambda head: False, "", "medsr.io.images.png:write_png")
    monkeypatch.setitem(image_formats.SUFFIXES, ".toy", upright)
    pixels = np.zeros((6, 8, 1), np.uint8)
    image = Image(pixels, window_of(pixels.dtype), "JPEG", extra={"orientation": 6})
    with pytest.raises(UsageError, match="Toy cannot say that its picture is turned"):
        image_io.write(tmp_path / "a.toy", image)


def test_the_documents_name_every_format_and_what_it_loses() -> None:
    images, scans = (ROOT / "docs" / page for page in ("images.md", "scans.md"))
    page = (ROOT / "medsr/commands/serve/page/index.html").read_text()
    for entry in ENTRIES:
        assert entry.name in images.read_text()
        assert entry.loses in images.read_text()
    for volume in volume_formats.FORMATS:
        assert volume.name in scans.read_text()
    for name in [entry.name for entry in (*image_formats.WRITTEN, *volume_formats.RECOGNISED)]:
        assert name in page
