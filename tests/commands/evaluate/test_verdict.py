"""The one sentence that an evaluation comes to."""

from __future__ import annotations

import pytest

from medsr.commands.evaluate import tables
from medsr.commands.evaluate.result import Evaluation, ImageScores
from medsr.commands.evaluate.verdict import verdict


def evaluation(gains: list[float], ssim: float = 0.9) -> Evaluation:
    rows = [ImageScores(str(n), "bicubic", {"psnr": 30.0, "ssim": 0.8}) for n in range(len(gains))]
    rows += [ImageScores(str(n), "net", {"psnr": 30.0 + gain, "ssim": ssim}) for n, gain in enumerate(gains)]
    return Evaluation("folder", {}, "bicubic", {"bicubic": {}, "net": {}}, rows, [], {})


@pytest.mark.parametrize(
    ("gains", "words"),
    [
        ([3.0, 3.8, 3.4], "net is better than bicubic on all 3 images: by 3.40 dB of PSNR on average."),
        ([-3.0, -3.8, -3.4], "net is worse than bicubic on all 3 images: by 3.40 dB of PSNR on average."),
        ([1.0] * 19 + [-0.5], "by 0.93 dB of PSNR on average, but worse on 1 of 20 images, by up to 0.50 dB."),
        ([1.0, -1.2, 0.3, -0.2], "These 4 images cannot tell whether net is better than bicubic"),
        ([-1.0] * 19 + [0.5], "worse than bicubic by 0.93 dB of PSNR on average, though better on 1 of 20 images."),
        ([0.5], "net is better than bicubic on the one image: by 0.50 dB of PSNR."),
        ([0.0, 0.0], "net is the same as bicubic on every image (PSNR)."),
        ([1.0, 0.0], "better than bicubic on 1 of 2 images (the same on the others)"),
    ],
)
def test_it_says_whether_a_model_is_better_and_on_how_many_images(gains: list[float], words: str) -> None:
    [sentence] = verdict(evaluation(gains))
    assert words in sentence


def test_a_lower_ssim_is_not_kept_back() -> None:
    assert verdict(evaluation([1.0, 2.0], ssim=0.7))[0].endswith("; but its SSIM is lower.")


def test_the_terminal_and_the_markdown_begin_with_it() -> None:
    result = evaluation([3.0, 3.8, 3.4])
    sentence = verdict(result)[0]
    assert tables.text(result).splitlines()[0] == sentence
    assert tables.markdown(result).splitlines()[2] == sentence


def test_remarks_are_sentences_and_names_of_models_stay_as_they_are() -> None:
    seen = "net was trained on 1 of these 3 images"
    assert tables.sentences([seen, "with few images"], [seen]) == f"{seen}. With few images."
