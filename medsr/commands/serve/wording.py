"""The page's words: the library's messages name parameters and commands, and the page has neither."""

from __future__ import annotations

import re

COMMAND = r"(?<![a-z])(?:pip install|medsr (?:upscale|volume|evaluate|export|weights|models|finetune|prepare|serve))"
WORDS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r" \(a scan in slices: medsr volume\)", " (slices of a scan: as a zip)"),
        (r"; `frames=all` or `frames=1-5` does them one by one", "; export those that you need as single images"),
        (r"; give `frames=all`", "; export them as single images"),
        (r"; medsr upscale takes PNG, TIFF, DICOM", "; save it as PNG, TIFF or DICOM"),
        (r"; medsr volume takes 3D and 4D", "; scans have 3 or 4"),
        (
            r": one slice: not a volume; medsr upscale takes single images",
            ": one slice is an image; send it without a zip",
        ),
        (r"; for scans: medsr volume .*", ""),
        (r"; for images: medsr upscale .*? --out FOLDER", "; send images themselves, not in a zip"),
        (r"; name one with `series=:N` or UID:N:", "; the page cannot choose one, so send the files of one alone:"),
        (r"; choose one with `series`", "; choose one"),
        (r"; ask for `scale=2` or a finer `spacing`", "; choose a factor above 1, or a finer spacing"),
        (r"; only `model=cubic` does that", ""),
        (r"; ask for a coarser `spacing`", "; choose a smaller factor, or a coarser spacing"),
        (r"; free memory or use `device=cpu`", "; try again later, or with a smaller factor"),
        (r"; set the tile yourself \(`tile=512`\), and compare the edges of tiles", "; take another model"),
        (r"compare it with `model=cubic`", "compare it with the interpolation beside it"),
        (r"; `uncertainty` and `adapt` do not apply", ", without an uncertainty map"),
        (r"`uncertainty`: interpolation gives the same", "uncertainty map: interpolation gives the same"),
        (r": chooses for `medsr upscale` and `medsr volume`; here, name a model", ": choose a model"),
        (r"`spacing=([^`]*)`", r"a spacing of \1 mm"),
        (r"`(?:out)?scale=([^`]*)`", r"factor \1"),
        (r"(?:;|,) (?:name|or name) a `model`|; `model` chooses one", "; choose a model"),
        # Whatever else names a command: without that part of the sentence; or a parameter: by its plain name.
        (rf"[;(] ?[^;()]*{COMMAND}\b[^;]*$", ""),
        (rf"[:,] ?[^;:,()]*{COMMAND}\b[^;]*$", ""),
        (r"`(\w+)=([^`]*)`", r"\1 \2"),
        (r"`(\w+)`", r"\1"),
    )
)
SUSPECT = re.compile(rf"`|{COMMAND}\b|\s--\w")
"""What marks a text that may need other words."""


def page_words(text: str) -> str:
    """A message of the library as a person at the page can follow it."""
    if not SUSPECT.search(text):
        return text
    for pattern, words in WORDS:
        text = pattern.sub(words, text)
    return text
