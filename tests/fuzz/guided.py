"""Coverage-guided fuzzing of one reader with atheris: `python -m tests.fuzz.guided READER -runs=10000`.

The Python code of medsr and of the pure-Python readers is instrumented, so that inputs which reach new branches are
mutated further. Ends with a traceback, and the input in a file crash-..., where something else than a result or one of
medsr's own errors comes out.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["medsr", "nibabel", "pydicom", "tifffile", "zipfile", "tarfile"]):
    import medsr.commands.prepare.archives
    import medsr.data.cards
    import medsr.data.manifest
    import medsr.io.dicom.pixels
    import medsr.io.images.dicom_image
    import medsr.io.images.image
    import medsr.io.images.jpeg
    import medsr.io.images.png
    import medsr.io.images.tiff
    import medsr.io.volumes.dicom.series
    import medsr.io.volumes.nibabel_io
    import medsr.io.volumes.volume  # noqa: F401 - what is imported here is instrumented
    from medsr.core.errors import MedsrError
    from tests.fuzz.readers import READERS


def main() -> None:
    name, *arguments = sys.argv[1:]
    reader = READERS[name]
    seeds = reader.seeds()
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        suffixes = sorted({path[path.index(".") :] for path in seeds})
        for file, content in seeds.items():
            which = suffixes.index(file[file.index(".") :])
            (corpus / file).write_bytes(bytes([which]) + content)

        def one(data: bytes) -> None:
            """The first byte chooses the suffix, the rest is the file."""
            if not data:
                return
            file = "manifest.csv" if name == "manifests" else "x" + suffixes[data[0] % len(suffixes)]
            path = Path(folder, file)
            path.write_bytes(data[1:])
            with suppress(MedsrError):
                reader.read(path)

        atheris.Setup([sys.argv[0], *arguments, "-timeout=10", "-rss_limit_mb=3000", str(corpus)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
