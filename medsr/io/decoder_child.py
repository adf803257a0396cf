"""The process that decodes compressed pixels: a decoder that crashes ends this process, and not medsr.

A request is a line of JSON and then bytes, and so is an answer: neither side unpickles what the other says.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
from collections.abc import Callable
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from medsr.core import platform
from medsr.core.text import reason


def main() -> None:
    """Answer requests from standard input on standard output until the input ends.

    A request names its `kind` (a key of `DECODERS`), the `seconds` it may take, the `memory` it may add in bytes and
    the `length` of the bytes that follow. An answer holds the `dtype` and `shape` of the pixels that follow, or an
    `error`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C at the terminal is for the parent to handle
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # decoders print whatever they like
        os.dup2(silence, stream)
    _answer(answers, {"ready": True})
    while line := requests.readline():
        request = json.loads(line)
        content = requests.read(request["length"])
        _limit_memory(request["memory"])
        faulthandler.dump_traceback_later(request["seconds"], exit=True, file=silence)
        try:
            pixels = np.ascontiguousarray(DECODERS[request["kind"]](request, content))
            pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
            _answer(
                answers, {"dtype": pixels.dtype.name, "shape": pixels.shape}, pixels.reshape(-1).view(np.uint8).data
            )
        except MemoryError:
            _answer(answers, {"error": "it takes more memory than pixels of its size can need"})
        except Exception as error:  # decoders raise whatever they like
            _answer(answers, {"error": reason(error)})
        finally:
            faulthandler.cancel_dump_traceback_later()
        content, pixels = b"", np.empty(0)  # not kept until the next request


def _answer(stream: IO[bytes], header: dict[str, Any], content: memoryview | bytes = b"") -> None:
    stream.write(json.dumps(header).encode() + b"\n")
    stream.write(content)
    stream.flush()


def _limit_memory(more: int) -> None:
    """Bound the address space to what is taken now and `more` bytes, where the system can."""
    import psutil

    platform.limit_memory(psutil.Process().memory_info().vms + more)


def _dicom_frame(request: dict[str, Any], frame: bytes) -> NDArray:
    """One compressed frame, by the `header` that pydicom needs and the `syntax`."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import UID

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(request["syntax"])
    for keyword, value in request["header"].items():
        setattr(dataset, keyword, value)
    dataset.PixelData = encapsulate([frame])
    pixels: NDArray = dataset.pixel_array
    return pixels


NUMBERS = ("compression", "photometric", "planarconfig", "predictor", "sampleformat", "fillorder", "bitspersample")
"""Of a page of a TIFF, what tifffile decodes by."""


def _tiff_page(request: dict[str, Any], _: bytes) -> NDArray:
    """The page `index` of the TIFF at `path`, as tifffile lays out its samples."""
    import tifffile

    with tifffile.TiffFile(request["path"]) as tiff:
        page = tiff.pages[request["index"]]
        if any(isinstance(getattr(page, name), str) for name in NUMBERS):
            raise ValueError("text stands where a number should")  # tifffile would quote it
        _check_pieces(page)
        pixels: NDArray = page.asarray(maxworkers=1)
        return pixels


def _check_pieces(page: Any) -> None:
    """Raise ValueError where a piece that states its own size or depth has another than the page says.

    tifffile crops and fills such pieces without a word.
    """
    import tifffile

    if page.compression not in tifffile.TIFF.IMAGE_COMPRESSIONS or page.compression in JPEGS:
        return
    decompress = tifffile.TIFF.DECOMPRESSORS[page.compression]
    across = -(-page.imagewidth // (page.tilewidth if page.is_tiled else page.imagewidth))
    rows = page.tilelength if page.is_tiled else page.rowsperstrip
    width = page.tilewidth if page.is_tiled else page.imagewidth
    samples = page.samplesperpixel if page.planarconfig == CONTIGUOUS else 1
    down = -(-page.imagelength // rows)
    for content, index in page.parent.filehandle.read_segments(page.dataoffsets, page.databytecounts):
        first = index // across % down * rows
        length = rows if page.is_tiled else min(rows, page.imagelength - first)
        piece = decompress(content)
        if piece.shape not in ((length, width), (length, width, samples)) or piece.size != length * width * samples:
            raise ValueError(f"a compressed piece is {piece.shape}, the file says {(length, width, samples)}")
        if piece.dtype != page.dtype:
            raise ValueError(f"a compressed piece holds {piece.dtype}, the file says {page.dtype}")


CONTIGUOUS = 1
JPEGS = (6, 7)
"""Compressions of TIFF whose pieces need tables from elsewhere to be decoded."""
DECODERS: dict[str, Callable[[dict[str, Any], bytes], NDArray]] = {"dicom": _dicom_frame, "tiff": _tiff_page}
"""What can be asked for, by its kind."""
