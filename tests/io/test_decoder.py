"""Decoders that crash, hang or take all memory cost one file, and nothing of the others."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagecodecs
import numpy as np
import psutil
import pydicom
import pytest
import tifffile
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames

import medsr
from medsr.core import isolation
from medsr.core.errors import InputError
from medsr.io import decoder
from medsr.io.dicom import pixels as dicom_pixels
from medsr.io.images import image
from tests.helpers.codestreams import compressed

PICTURE = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 7


@pytest.fixture
def unreliable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process can be asked for what `unreliable_decoders` adds."""
    program = isolation.program("tests.io.unreliable_decoders")
    monkeypatch.setattr(isolation, "program", lambda module: program)
    monkeypatch.setattr(decoder, "_WORKER", worker := decoder._Worker())
    yield
    worker.close()


def _echo(content: bytes) -> bytes:
    return decoder.decode({"kind": "echo"}, content, len(content), "b.dcm").tobytes()


@pytest.mark.usefixtures("unreliable")
def test_a_crash_names_the_file_and_the_next_one_is_decoded() -> None:
    assert _echo(b"before") == b"before"
    with pytest.raises(InputError, match=r"^a\.dcm: damaged: its compressed data made the decoder crash"):
        decoder.decode({"kind": "abort"}, b"", 1, "a.dcm")
    assert _echo(b"after") == b"after"


@pytest.mark.usefixtures("unreliable")
def test_time_and_memory_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform == "linux":
        with pytest.raises(InputError, match=r"^a\.dcm: .*more memory"):
            decoder.decode({"kind": "fill memory"}, b"", 1, "a.dcm")
    monkeypatch.setattr(decoder, "SECONDS", 0.5)
    began = time.monotonic()
    with pytest.raises(InputError, match=r"^a\.dcm: damaged: .*longer to decode"):
        decoder.decode({"kind": "hang"}, b"", 1, "a.dcm")
    assert time.monotonic() - began < 20
    monkeypatch.setattr(decoder, "SECONDS", 10.0)
    assert _echo(b"after") == b"after"


@pytest.mark.usefixtures("unreliable")
def test_another_number_of_samples_is_refused() -> None:
    with pytest.raises(InputError, match="6 samples came out, its header says 5"):
        decoder.decode({"kind": "echo"}, b"before", 5, "a.dcm")
    assert _echo(b"after") == b"after"


@pytest.mark.usefixtures("unreliable")
def test_threads_get_their_own_answers() -> None:
    contents = [bytes([number]) * (1 << (number + 8)) for number in range(12)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(_echo, contents * 3)) == contents * 3


@pytest.mark.usefixtures("unreliable")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_has_a_decoder_of_its_own() -> None:
    own = decoder.decode({"kind": "process"}, b"", 1, "a.dcm")
    with decoder._WORKER._lock:  # as if another thread were just decoding
        child = os.fork()
        if child == 0:
            other = decoder.decode({"kind": "process"}, b"", 1, "a.dcm")
            decoder._WORKER.close()
            os._exit(0 if other != own else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert decoder.decode({"kind": "process"}, b"", 1, "a.dcm") == own


def test_scripts_need_no_guard_and_leave_no_process(tmp_path: Path) -> None:
    """`multiprocessing` would run such a script again in the child."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, tifffile, numpy\nfrom pathlib import Path\n"
        "from medsr.io import decoder\nfrom medsr.io.images import image\n"
        f"path = Path({str(tmp_path / 'a.tif')!r})\n"
        "tifffile.imwrite(path, numpy.eye(64, dtype=numpy.uint16), compression='jpeg2000', photometric='minisblack')\n"
        "print(image.read(path).pixels.sum(), decoder._WORKER._process.pid)\n"
    )
    path = os.pathsep.join([str(Path(medsr.__file__).parent.parent), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path}
    )
    total, process = done.stdout.split()
    assert total == "64"
    assert not psutil.pid_exists(int(process))


def test_nothing_from_the_working_folder_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("json", "pydicom", "faulthandler", "psutil"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(decoder, "_WORKER", worker := decoder._Worker())
    assert dicom_pixels.decode(compressed("jls"), "a.dcm").shape == (48, 64)
    worker.close()
    assert not (tmp_path / "ran").exists()


def test_one_changed_bit_does_not_end_a_batch(tmp_path: Path) -> None:
    """Bits of a lossless JPEG and a JPEG-LS, some of which make GDCM abort the process."""
    crashes = 0
    for name, bits in (("SC_rgb_jpeg_gdcm.dcm", (138, 139)), ("SC_rgb_jls_lossy_line.dcm", (406, 407))):
        dataset = pydicom.dcmread(get_testdata_file(name, download=False))
        frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
        whole = dicom_pixels.decode(dataset, "whole.dcm")
        for bit in bits:
            damaged = bytearray(frame)
            damaged[bit >> 3] ^= 1 << (bit & 7)
            dataset.PixelData = encapsulate([bytes(damaged)])
            try:
                dicom_pixels.decode(dataset, "a.dcm")
            except InputError as error:
                crashes += "crash" in str(error)
        dataset.PixelData = encapsulate([frame])
        assert np.array_equal(dicom_pixels.decode(dataset, "whole.dcm"), whole)
    assert crashes


@pytest.mark.parametrize("compression", ["jpeg2000", "jpegxl", "lerc", "png", "webp"])
@pytest.mark.parametrize("tile", [None, (16, 32)])
def test_compressed_tiff_is_decoded_there(compression: str, tile: tuple[int, int] | None, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    pixels = PICTURE if compression != "webp" else np.repeat(PICTURE[:, :, None], 3, 2).astype(np.uint8)
    arguments = {"lossless": True} if compression == "webp" else {"level": 100} if compression == "jpegxl" else {}
    tifffile.imwrite(
        path,
        pixels,
        compression=compression,
        compressionargs=arguments,
        tile=tile,
        photometric="minisblack" if pixels.ndim == 2 else "rgb",
        metadata=None,
    )
    assert np.array_equal(image.read(path).pixels.squeeze(), tifffile.imread(path))


@pytest.mark.parametrize("codec", ["jpeg2k", "jpegxl"])
@pytest.mark.parametrize("shape", [(48, 32), (96, 64), (1500, 1500)])
def test_pieces_of_a_tiff_have_the_size_that_it_says(codec: str, shape: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PICTURE, compression=codec.replace("2k", "2000"), photometric="minisblack", metadata=None)
    other = getattr(imagecodecs, f"{codec}_encode")(np.zeros(shape, np.uint16))
    with tifffile.TiffFile(path) as tiff:
        offset, tag = tiff.pages[0].dataoffsets[0], tiff.pages[0].tags["StripByteCounts"]
        counts = tag.valueoffset
    content = bytearray(path.read_bytes())
    content[offset:] = other
    content[counts : counts + 4] = len(other).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a compressed piece is|more memory"):
        image.read(path)
