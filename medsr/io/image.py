"""2D images in PNG, JPEG, TIFF and DICOM: read to an `Image`, write one back in the same kind of file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.errors import InputError, UsageError
from medsr.intensity import Window, bits_that_hold
from medsr.io.files import atomic_path

PNG, JPEG, TIFF, DICOM = "PNG", "JPEG", "TIFF", "DICOM"
SUFFIXES = {
    ".png": PNG,
    ".jpg": JPEG,
    ".jpeg": JPEG,
    ".tif": TIFF,
    ".tiff": TIFF,
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".bmp": "BMP",
    ".dcm": DICOM,
}
JPEG_QUALITY = 95
MAX_PIXELS = 400_000_000


@dataclass(frozen=True)
class Image:
    """One image as its file stores it.

    `pixels`: (height, width, channels), channels 1 or 3, the stored dtype and the stored values.
    `alpha`: (height, width) or None. `window`: what the values mean. `kind`: the file format it came in.
    `extra`: what only that format's writer understands (ICC profile, resolution, DICOM data set).
    `note`: what had to be assumed in reading, for the user to see; empty when the file says everything.
    """

    pixels: NDArray
    window: Window
    kind: str
    alpha: NDArray | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    def to_unit(self) -> NDArray[np.float32]:
        """(height, width, channels) float32; the window's full range is [0, 1]."""
        return self.window.to_unit(self.pixels)

    def with_unit(self, unit: NDArray, alpha: NDArray | None = None) -> Image:
        """The same kind of image holding new unit values, of any height and width."""
        pixels = self.window.to_stored(unit, self.pixels.dtype)
        return replace(self, pixels=pixels, alpha=alpha)

    def extra_for(self, keys: tuple[str, ...]) -> dict[str, Any]:
        """The entries of `extra` that are set, of those a writer knows."""
        return {key: self.extra[key] for key in keys if self.extra.get(key)}


def read(path: Path, bits: int | None = None) -> Image:
    """Read an image file; the content, not the name, says what it is.

    `bits`: bits stored in a 16-bit file that does not declare them.
    Raises InputError naming the file when it is missing, damaged, or of a kind not handled.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(132)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    reader = _reader_for(path, head)
    try:
        image = reader(path)
    except InputError:
        raise
    except Exception as error:  # decoders raise whatever they like on damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: damaged or not a readable image ({reason})") from error
    if image.pixels.size == 0:
        raise InputError(f"{path}: the image is empty")
    return _declare_bits(image, bits, path)


def write(path: Path, image: Image) -> None:
    """Write `image` whole or not at all, in the format `path`'s suffix names.

    Raises UsageError where that format cannot hold the values unchanged.
    """
    kind = SUFFIXES.get(path.suffix.lower())
    if kind == DICOM:
        from medsr.io import dicom

        with atomic_path(path) as temporary:
            dicom.write(temporary, image)
        return
    writer = {PNG: _write_png, JPEG: _write_jpeg, TIFF: _write_tiff}.get(kind or "")
    if writer is None:
        raise UsageError(f"{path}: medsr writes .png, .jpg, .tif and .dcm, not {path.suffix!r}")
    _refuse_loss(path, image, kind or "")
    with atomic_path(path) as temporary:
        writer(temporary, image)


def expand(inputs: Iterable[str | Path]) -> list[Path]:
    """Files, folders and globs to a list of files, each once; folders give their images, searched recursively.

    Raises UsageError when one of them matches nothing.
    """
    import glob

    found: dict[Path, None] = {}
    for entry in inputs:
        path = Path(entry)
        if path.is_dir():
            matches = list_images(path)
        elif path.exists() or not glob.has_magic(str(entry)):
            matches = [path]
        else:
            matches = sorted(Path(match) for match in glob.glob(str(entry), recursive=True) if Path(match).is_file())
        if not matches:
            raise UsageError(f"{entry}: no images there")
        found.update(dict.fromkeys(matches))
    return list(found)


def list_images(folder: Path, pattern: str = "*") -> list[Path]:
    """The image files below `folder` whose name matches `pattern`, sorted."""
    files = (path for path in folder.rglob(pattern) if path.is_file() and not path.name.startswith("."))
    return sorted(path for path in files if path.suffix.lower() in SUFFIXES)


def _reader_for(path: Path, head: bytes) -> Any:
    if not head:
        raise InputError(f"{path}: the file is empty")
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _read_png
    if head.startswith(b"\xff\xd8\xff"):
        return _read_jpeg
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _read_tiff
    if head[:2] in (b"P5", b"P6", b"BM"):
        return _read_plain
    if head[128:132] == b"DICM" or path.suffix.lower() == ".dcm":
        from medsr.io import dicom

        return dicom.read
    expected = SUFFIXES.get(path.suffix.lower())
    claim = f"named {path.suffix} but " if expected else ""
    raise InputError(f"{path}: {claim}not a PNG, JPEG, TIFF or DICOM image")


def _shape_pixels(array: NDArray, path: Path) -> tuple[NDArray, NDArray | None]:
    """(height, width[, channels]) to ((height, width, 1 or 3), alpha or None)."""
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        raise InputError(f"{path}: expected one grey or colour image, found an array of shape {array.shape}")
    if array.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{path}: {array.dtype} pixels are not handled, only 8- and 16-bit unsigned integers")
    colours = array.shape[2] - (1 - array.shape[2] % 2)
    alpha = array[:, :, -1] if array.shape[2] % 2 == 0 else None
    return np.ascontiguousarray(array[:, :, :colours]), alpha


def _window_of(dtype: np.dtype, bits: int | None = None, inverted: bool = False) -> Window:
    stored = dtype.itemsize * 8
    return Window.of_bits(bits or stored, inverted=inverted, store_bits=bits or stored)


def _declare_bits(image: Image, bits: int | None, path: Path) -> Image:
    """Settle the depth of 16-bit pixels that do not declare it; `extra['declared']` marks those that do."""
    if image.pixels.dtype != np.uint16 or image.extra.get("declared"):
        return image
    largest = int(image.pixels.max())
    if bits is not None and largest >= 1 << bits:
        raise InputError(f"{path}: holds {largest}, more than the {bits} bits given")
    used = bits or bits_that_hold(largest)
    window = Window.of_bits(used, inverted=image.window.inverted, store_bits=bits or 16)
    note = "" if bits or used == 16 else f"16-bit file without declared depth; largest value {largest}, read as {used}-bit"
    return replace(image, window=window, note=note)


def _read_png(path: Path) -> Image:
    import imagecodecs
    from PIL import Image as Pillow

    with Pillow.open(path) as header:  # the only reader here that gives palette, profile and resolution
        mode, extra = header.mode, _metadata(header.info)
        palette = header.mode == "P"
        if palette:
            header.load()
            array = np.asarray(header.convert("RGBA" if "transparency" in header.info else "RGB"))
    if not palette:
        if mode == "1":
            raise InputError(f"{path}: a 1-bit image has no intensities to super-resolve")
        array = imagecodecs.png_decode(path.read_bytes())
    pixels, alpha = _shape_pixels(array, path)
    return Image(pixels, _window_of(pixels.dtype), PNG, alpha, extra)


def _read_jpeg(path: Path) -> Image:
    from PIL import Image as Pillow

    with Pillow.open(path) as file:
        if file.mode not in ("L", "RGB"):
            raise InputError(f"{path}: a {file.mode} JPEG is not handled, only grey and RGB")
        pixels, alpha = _shape_pixels(np.asarray(file), path)
        return Image(pixels, _window_of(pixels.dtype), JPEG, alpha, _metadata(file.info))


def _read_plain(path: Path) -> Image:
    from PIL import Image as Pillow

    with Pillow.open(path) as file:
        if file.mode not in ("L", "RGB"):
            raise InputError(f"{path}: a {file.mode} image is not handled, only 8-bit grey and RGB")
        pixels, alpha = _shape_pixels(np.asarray(file), path)
        return Image(pixels, _window_of(pixels.dtype), PNG, alpha)


def _read_tiff(path: Path) -> Image:
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        if len(tiff.pages) != 1:
            raise InputError(f"{path}: has {len(tiff.pages)} pages; medsr upscale takes single images")
        page = tiff.pages[0]
        if page.imagewidth * page.imagelength > MAX_PIXELS:
            raise InputError(f"{path}: {page.imagewidth}x{page.imagelength} is more than {MAX_PIXELS} pixels")
        photometric = page.photometric.name
        array = page.asarray()
        if photometric == "PALETTE":
            table = page.colormap
            array, photometric = np.moveaxis(table, 0, -1)[array], "RGB"
        elif photometric not in ("MINISBLACK", "MINISWHITE", "RGB", "YCBCR"):
            raise InputError(f"{path}: {photometric} TIFF is not handled, only grey, RGB and palette")
        if array.ndim == 3 and page.planarconfig.name == "SEPARATE":
            array = np.moveaxis(array, 0, -1)
        pixels, alpha = _shape_pixels(array, path)
        declared = _tiff_depth(page, pixels.dtype)
        inverted = photometric == "MINISWHITE"
        extra = {"declared": declared, "dpi": _tiff_dpi(page), "icc_profile": page.iccprofile}
        return Image(pixels, _window_of(pixels.dtype, declared, inverted), TIFF, alpha, extra)


def _tiff_depth(page: Any, dtype: np.dtype) -> int | None:
    """Bits stored when the file says so: an odd BitsPerSample, or a MaxSampleValue of the form 2^n - 1."""
    container = dtype.itemsize * 8
    per_sample = page.bitspersample
    if isinstance(per_sample, int) and per_sample < container:
        return per_sample
    tag = page.tags.get("MaxSampleValue") or page.tags.get("SMaxSampleValue")
    value = tag.value if tag is not None else None
    value = max(value) if isinstance(value, tuple) else value
    if isinstance(value, int | float) and value > 255 and (int(value) + 1).bit_count() == 1:
        return int(value).bit_length()
    return None


def _tiff_dpi(page: Any) -> tuple[float, float] | None:
    tags = page.tags
    if "XResolution" not in tags or "YResolution" not in tags or page.resolutionunit == 1:
        return None
    per_unit = page.get_resolution("INCH")
    return float(per_unit[0]), float(per_unit[1])


def _metadata(info: Mapping[str, Any]) -> dict[str, Any]:
    return {key: info[key] for key in ("icc_profile", "exif", "dpi") if info.get(key)}


def _refuse_loss(path: Path, image: Image, kind: str) -> None:
    if kind == JPEG and (image.pixels.dtype != np.uint8 or image.alpha is not None):
        raise UsageError(f"{path}: JPEG cannot hold 16-bit values or transparency; choose .png or .tif")
    if kind != image.kind and image.window.inverted:
        raise UsageError(f"{path}: an image stored white-is-zero can only be written as {image.kind}")


def _joined(image: Image) -> NDArray:
    planes = image.pixels if image.alpha is None else np.dstack([image.pixels, image.alpha])
    return planes[:, :, 0] if planes.shape[2] == 1 else planes


def _write_png(path: Path, image: Image) -> None:
    from PIL import Image as Pillow

    array = _joined(image)
    if array.dtype == np.uint8:
        Pillow.fromarray(array).save(path, "PNG", **image.extra_for(("icc_profile", "exif", "dpi")))
    else:
        import imagecodecs

        path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(array)))


def _write_jpeg(path: Path, image: Image) -> None:
    from PIL import Image as Pillow

    keep = image.extra_for(("icc_profile", "exif", "dpi"))
    Pillow.fromarray(_joined(image)).save(path, "JPEG", quality=JPEG_QUALITY, subsampling=0, **keep)


def _write_tiff(path: Path, image: Image) -> None:
    import tifffile

    dpi, declared = image.extra.get("dpi"), image.extra.get("declared")
    photometric = "rgb" if image.pixels.shape[2] == 3 else "miniswhite" if image.window.inverted else "minisblack"
    tifffile.imwrite(
        path,
        _joined(image),
        photometric=photometric,
        extrasamples=None if image.alpha is None else ["unassalpha"],
        compression="zlib",
        resolution=dpi,
        resolutionunit="INCH" if dpi else None,
        iccprofile=image.extra.get("icc_profile"),
        extratags=[(281, "H", 1, (1 << declared) - 1, True)] if declared else (),
        metadata=None,
    )
