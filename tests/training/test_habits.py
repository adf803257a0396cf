"""Training habits: stages, progressive factors, plateaus, minutes, other metrics, freezing, pairs, plain slices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count, pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from medsr.commands.finetune import finetune
from medsr.commands.upscale.run import upscale
from medsr.commands.volume.run import volume
from medsr.core.errors import InputError, StoppedError, UsageError, WeightsError
from medsr.io.images import image as image_io
from medsr.networks import checkpoint
from medsr.networks.rrdb import convert_channels, rrdb
from medsr.recipe import load
from medsr.training import loop, stages
from medsr.training import monitor as monitors
from medsr.training.result import TrainingResult
from tests.helpers.images import write_png
from tests.helpers.scans import smooth_volume

RECIPE: dict[str, Any] = {
    "name": "habits",
    "scale": 2,
    "generator": {"name": "rrdn", "features": 8, "growth": 4, "convs": 2, "dense": 1, "blocks": 2},
    "data": {"validation": "eye_[5].png", "crop": 32, "workers": 0},
    "degradation": {"name": "bicubic"},
    "losses": {"l1": {"sharpened": False}},
    "optimizer": {"learning_rate": 1e-3},
    "iterations": 6,
    "batch": 2,
    "validate_every": 3,
    "save_every": 3,
}


pytestmark = pytest.mark.usefixtures("without_curves")


def _write(path: Path, **changes: Any) -> Path:
    path.write_text(yaml.safe_dump({**RECIPE, **changes}))
    return path


def _weights(path: Path) -> dict[str, torch.Tensor]:
    return checkpoint.read_state(path)[0]


STAGES = [
    {"name": "faithful", "iterations": 4},
    {
        "name": "sharp",
        "iterations": 3,
        "losses": {"gan": {"weight": 0.1, "relativistic": True}},
        "discriminator": {"name": "unet-sn", "features": 8},
    },
]


def test_two_stages_in_one_recipe(tmp_path: Path, image_folder: Path) -> None:
    recipe = _write(tmp_path / "r.yml", stages=STAGES)
    lines: list[str] = []
    result = finetune(recipe, image_folder, out=tmp_path / "run", device="cpu", notify=lines.append)
    first, second = tmp_path / "run" / "1-faithful", tmp_path / "run" / "2-sharp"
    assert result.iterations == 7
    assert {"l1"} == _losses(first)
    assert {"l1", "gan", "discriminator_real", "discriminator_fake"} == _losses(second)
    began = TrainingResult.of(second)
    ended = TrainingResult.of(first)
    assert began is not None
    assert ended is not None
    assert began.start["psnr"] == ended.best["psnr"]  # it goes on from there
    for name in ("model.safetensors", "best.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (second / name).read_bytes()
    page = (tmp_path / "run" / "report.html").read_text()
    assert "1-faithful/report.html" in page
    assert str(tmp_path) not in json.dumps(checkpoint.describe(second / "model.safetensors"))


def _losses(run: Path) -> set[str]:
    record = json.loads((run / "log.jsonl").read_text().splitlines()[1])
    return set(record) - {"iteration", "learning_rate"}


def test_stages_resume_where_they_were_stopped(
    tmp_path: Path, image_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = _write(tmp_path / "r.yml", stages=STAGES, save_every=1)
    whole = finetune(recipe, image_folder, out=tmp_path / "whole", device="cpu")
    after = monitors.TrainingLogger.after

    def killed(
        self: monitors.TrainingLogger, learner: Any, losses: dict[str, float], interrupted: bool = False
    ) -> bool:
        stop = after(self, learner, losses, interrupted)
        if self.run.name == "2-sharp" and learner.iteration == 2:
            raise KeyboardInterrupt
        return stop

    with monkeypatch.context() as patch:
        patch.setattr(monitors.TrainingLogger, "after", killed)
        with pytest.raises(KeyboardInterrupt):
            finetune(recipe, image_folder, out=tmp_path / "run", device="cpu")
    lines: list[str] = []
    resumed = finetune("", resume=tmp_path / "run", device="cpu", notify=lines.append)
    assert "stage faithful: finished before" in lines
    assert "resumed after iteration 2" in lines
    assert resumed.iterations == whole.iterations
    own, others = _weights(resumed.model), _weights(whole.model)
    assert all(torch.equal(own[name], others[name]) for name in others)
    with pytest.raises(UsageError, match=r"only data\.workers and the folders of data may change"):
        finetune("", resume=tmp_path / "run", overrides=["iterations=50"])


def test_a_stopped_stage_is_gone_on_with_by_the_whole_run(
    tmp_path: Path, image_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal

    after = monitors.TrainingLogger.after

    def stopped(
        self: monitors.TrainingLogger, learner: Any, losses: dict[str, float], interrupted: bool = False
    ) -> bool:
        if self.run.name == "2-sharp" and learner.iteration == 1:
            signal.raise_signal(signal.SIGTERM)
            interrupted = True
        return after(self, learner, losses, interrupted)

    monkeypatch.setattr(monitors.TrainingLogger, "after", stopped)
    with pytest.raises(StoppedError, match=f"--resume {tmp_path / 'run'}$"):
        finetune(_write(tmp_path / "r.yml", stages=STAGES), image_folder, out=tmp_path / "run", device="cpu")
    monkeypatch.undo()
    assert finetune("", resume=tmp_path / "run", device="cpu").iterations == 7


def test_progressive_factors_carry_the_weights_over(tmp_path: Path, image_folder: Path) -> None:
    steps = [{"name": "x2"}, {"name": "x4", "scale": 4}, {"name": "x8", "scale": 8, "data": {"crop": 64}}]
    recipe = _write(tmp_path / "r.yml", stages=steps, optimizer={"learning_rate": 1e-9}, iterations=2)
    lines: list[str] = []
    result = finetune(recipe, image_folder, out=tmp_path / "run", device="cpu", notify=lines.append)
    nets = [_weights(stages.stage_folder(load(recipe), tmp_path / "run", n) / "best.safetensors") for n in range(3)]
    for before, after in pairwise(nets):
        assert torch.allclose(
            before["body.0.inner.0.convs.0.weight"], after["body.0.inner.0.convs.0.weight"], atol=1e-6
        )
        assert len(after) > len(before)
    assert sum("of the weights taken from" in line for line in lines) == 2
    assert upscale(image_folder / "eye_0.png", tmp_path / "up", model=result.model, engine="torch")[0].error is None
    assert image_io.read(tmp_path / "up" / "eye_0.png").pixels.shape == (768, 768, 3)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_a_colour_network_made_grey_does_to_grey_what_it_did(scale: int) -> None:
    torch.manual_seed(0)
    colour, grey = (rrdb(scale, channels, 8, 1, 8).eval() for channels in (3, 1))
    grey.load_state_dict(convert_channels(colour.state_dict(), 3, 1))
    image = torch.rand(1, 1, 16, 12)
    with torch.no_grad():
        expected = colour(image.expand(-1, 3, -1, -1)).mean(1, keepdim=True)
        torch.testing.assert_close(grey(image), expected)
        back = rrdb(scale, 3, 8, 1, 8).eval()
        back.load_state_dict(convert_channels(grey.state_dict(), 1, 3))
        torch.testing.assert_close(back(image.expand(-1, 3, -1, -1)), expected.expand(-1, 3, -1, -1))


def test_what_fits_of_another_kind_of_network_is_refused(tmp_path: Path, tiny_model: Path, image_folder: Path) -> None:
    recipe = _write(tmp_path / "r.yml", start_from={"generator": str(tiny_model), "matching": True})
    with pytest.raises(UsageError, match="is a rrdb, the recipe asks for rrdn"):
        finetune(recipe, image_folder, out=tmp_path / "run", device="cpu")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"stages": [{"name": "a", "iteratoins": 3}]}, "stages.0.iteratoins: unknown key; did you mean 'iterations'"),
        ({"stages": [{"name": "a"}, {"name": "a"}]}, "stages: every name once"),
        ({"stages": [{"name": "../a"}]}, "stages.0.name"),
        ({"stages": [{"name": "a", "scale": 16}]}, "stages.0.scale"),
        ({"stages": [{"name": "a", "losses": {"gan": {"weight": 1}}}]}, "stages.0.discriminator: must be given"),
        ({"stages": [{"name": "a", "stages": []}]}, "a cannot have stages of its own"),
        ({"minutes": 1, "stages": [{"name": "a", "minutes": 2}]}, "the stages share the recipe's, and a has its own"),
        (
            {"stages": [{"name": "a"}, {"name": "b", "generator": {"features": 9}}]},
            "stages.1.generator: another network",
        ),
        ({"start_from": {"generator": "x.pth", "freeze": 5}}, "start_from.freeze: the generator has 2 blocks"),
        ({"start_from": {"freeze": 1}}, "start_from: freeze and matching need a generator"),
        ({"optimizer": {"schedule": "plateau"}}, "optimizer: plateau: validations without"),
        ({"metric": "loss"}, "metric"),
        ({"minutes": 0}, "minutes"),
        ({"degradation": {"name": "pairs"}}, "degradation.low_resolution: missing"),
        ({"degradation": {"name": "through-plane-mean"}}, "through-plane-mean needs scale 1 and channels 1"),
    ],
)
def test_impossible_habits_are_named(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(_write(tmp_path / "r.yml", **change))
    assert expected in str(caught.value)


def test_frozen_blocks_stay_as_they_are_and_the_others_learn(tmp_path: Path, image_folder: Path) -> None:
    norms = {"generator": {"name": "srresnet", "features": 8, "blocks": 3}}
    first = finetune(_write(tmp_path / "a.yml", **norms), image_folder, out=tmp_path / "a", device="cpu")
    start = {"generator": str(first.model), "freeze": 2}
    recipe = _write(tmp_path / "b.yml", **norms, start_from=start, optimizer={"learning_rate": 1e-2})
    second = finetune(recipe, image_folder, out=tmp_path / "b", device="cpu")
    before, after = _weights(first.model), _weights(second.model)
    frozen = ("conv_first.", "body.0.", "body.1.")
    for name, tensor in before.items():
        same = torch.equal(tensor, after[name])
        assert same == name.startswith(frozen), name  # running means of norms included
    too_many = _write(tmp_path / "c.yml", **norms, start_from={**start, "freeze": 4})
    with pytest.raises(UsageError, match="the generator has 3 blocks"):
        finetune(too_many, image_folder, out=tmp_path / "c", device="cpu")
    scaled = _write(tmp_path / "d.yml", **norms, scale=4, start_from={**start, "matching": True})
    assert finetune(scaled, image_folder, out=tmp_path / "d", device="cpu").iterations == 6  # nothing frozen is new
    wide = {"generator": {"name": "srresnet", "features": 16, "blocks": 3}}
    other = _write(tmp_path / "e.yml", **wide, start_from={"generator": str(first.model), "matching": True})
    with pytest.raises(UsageError, match=r"only 0\.\d% fits"):
        finetune(other, image_folder, out=tmp_path / "e", device="cpu")


@pytest.mark.parametrize(("before", "after"), [(2, 4), (4, 2), (1, 2), (2, 1)])
def test_an_rrdb_of_another_scale_sees_what_it_saw(before: int, after: int, tmp_path: Path, fundus: np.ndarray) -> None:
    """The new one is the old one on the image enlarged by nearest neighbour, or averaged."""
    from medsr.training.initial_weights import generator

    torch.manual_seed(0)
    settings = {"features": 48, "blocks": 1, "growth": 8}
    old = checkpoint.Spec("rrdb", before, 3, settings)
    net = old.build()
    checkpoint.save(tmp_path / "old.safetensors", net.state_dict(), old)
    start = {"generator": str(tmp_path / "old.safetensors"), "matching": True, "freeze": 1}
    recipe = load(_write(tmp_path / "r.yml", scale=after, generator={"name": "rrdb", **settings}, start_from=start))
    output, _, summary = generator(recipe, tmp_path / "old.safetensors")
    assert "0 of " in summary  # nothing is new
    inputs = torch.from_numpy(fundus[:64, :64].astype(np.float32) / 255).permute(2, 0, 1)[None]
    functional = torch.nn.functional
    seen = functional.interpolate(inputs, scale_factor=2) if after > before else functional.avg_pool2d(inputs, 2)
    with torch.inference_mode():
        torch.testing.assert_close(output(inputs), net(seen), atol=1e-5, rtol=1e-5)


def test_what_a_later_stage_needs_is_looked_for_first(tmp_path: Path, image_folder: Path) -> None:
    late = [{"name": "a"}, {"name": "b", "losses": {"perceptual": {"weight": 1}}}]
    with pytest.raises(WeightsError, match="needs VGG19"):
        finetune(_write(tmp_path / "r.yml", stages=late), image_folder, out=tmp_path / "run", device="cpu")
    lpips = [{"name": "a"}, {"name": "b", "metric": "lpips"}]
    with pytest.raises(WeightsError, match="alexnet"):
        finetune(_write(tmp_path / "r.yml", stages=lpips), image_folder, out=tmp_path / "run", device="cpu")
    with pytest.raises(UsageError, match="is not a folder"):
        finetune(_write(tmp_path / "r.yml", stages=STAGES), tmp_path / "nothing", out=tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()  # a mended command may use the folder


def test_killed_before_its_report_a_run_is_finished_when_resumed(tmp_path: Path, image_folder: Path) -> None:
    whole = finetune(_write(tmp_path / "r.yml", stages=STAGES), image_folder, out=tmp_path / "run", device="cpu")
    for name in ("result.json", "1-faithful/result.json"):
        (tmp_path / "run" / name).unlink()
    (tmp_path / "run" / "1-faithful" / "report.html").unlink()
    again = finetune("", resume=tmp_path / "run", device="cpu")
    assert (again.best, again.end, again.iterations) == (whole.best, whole.end, whole.iterations)
    assert (tmp_path / "run" / "1-faithful" / "report.html").is_file()


def test_frozen_blocks_stay_frozen_in_later_stages(tmp_path: Path, image_folder: Path) -> None:
    first = finetune(_write(tmp_path / "a.yml"), image_folder, out=tmp_path / "a", device="cpu")
    start = {"generator": str(first.model), "freeze": 1}
    two = [{"name": "x"}, {"name": "y", "scale": 4}]
    recipe = _write(tmp_path / "b.yml", start_from=start, stages=two)
    second = finetune(recipe, image_folder, out=tmp_path / "b", device="cpu")
    before, after = _weights(first.model), _weights(second.model)
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith(("conv_first", "body.0.")))
    assert not torch.equal(before["conv_body.weight"], after["conv_body.weight"])


def _scripted(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Let validation find these values of the recipe's metric, one after the other."""
    inputs: Iterator[float] = iter(values)

    def score(_model: Any, _held_out: Any, _scale: int, by: Any) -> monitors.validation.Scores:
        value = next(inputs)
        return monitors.validation.Scores({name: [value] for name in by})

    monkeypatch.setattr(monitors.validation, "score", score)


def _rates(run: Path) -> list[float]:
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [record["learning_rate"] for record in records if "learning_rate" in record]


def test_a_plateau_lowers_the_learning_rate(
    tmp_path: Path, image_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    optimizer = {"learning_rate": 1e-3, "schedule": "plateau", "plateau": 2, "factor": 0.5}
    recipe = _write(tmp_path / "r.yml", optimizer=optimizer, iterations=10, validate_every=1, save_every=3)
    # bicubic, start, then one an iteration: better, worse, worse, worse, worse, best of all, worse ...
    _scripted(monkeypatch, [20, 20, 21, 20, 20, 20, 20, 22, 21, 21, 21, 21])
    finetune(recipe, image_folder, out=tmp_path / "run", device="cpu")
    expected = [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125]
    assert _rates(tmp_path / "run") == pytest.approx([1e-3 * share for share in expected])


def test_a_plateau_is_remembered_when_resuming(
    tmp_path: Path, image_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    optimizer = {"learning_rate": 1e-3, "schedule": "plateau", "plateau": 2, "factor": 0.5}
    recipe = _write(tmp_path / "r.yml", optimizer=optimizer, iterations=4, validate_every=1, save_every=1)
    _scripted(monkeypatch, [20, 20, 21, 20, 20, 20, *[20, 20, 20, 20]])
    finetune(recipe, image_folder, out=tmp_path / "run", device="cpu")
    finetune("", resume=tmp_path / "run", overrides=["iterations=7"], device="cpu")
    # of the first four: reduced after the third; the fourth was the first without a better result since
    assert _rates(tmp_path / "run") == pytest.approx([1e-3, 1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4, 2.5e-4])


@pytest.mark.parametrize(("metric", "values"), [("ssim", [1, 2, 3, 2, 2, 9]), ("mse", [9, 8, 7, 8, 8, 1])])
def test_any_metric_stops_early_and_names_the_best(
    tmp_path: Path, image_folder: Path, monkeypatch: pytest.MonkeyPatch, metric: str, values: list[float]
) -> None:
    recipe = _write(tmp_path / "r.yml", metric=metric, patience=2, validate_every=1, iterations=9)
    _scripted(monkeypatch, [0, *values])
    result = finetune(recipe, image_folder, out=tmp_path / "run", device="cpu")
    assert result.stopped_early
    assert result.iterations == 4
    assert result.best[metric] == values[2]


def test_every_metric_is_measured(tmp_path: Path, image_folder: Path) -> None:
    for metric in ("psnr_y", "mse"):
        result = finetune(
            _write(tmp_path / "r.yml", metric=metric, iterations=1), image_folder, out=tmp_path / metric, device="cpu"
        )
        assert set(result.end) == {"psnr", "ssim", metric}
    assert result.end["psnr"] == pytest.approx(10 * np.log10(255**2 / result.end["mse"]), abs=0.01)
    with pytest.raises(WeightsError, match="weights fetch alexnet"):
        finetune(_write(tmp_path / "r.yml", metric="lpips"), image_folder, out=tmp_path / "lpips", device="cpu")


def tick(monkeypatch: pytest.MonkeyPatch, seconds: float = 0.1) -> None:
    """A clock by which every iteration takes that long, whatever the machine does meanwhile."""
    ticks = count()
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: seconds * next(ticks)))


def test_minutes_end_a_run_and_are_shared_by_its_stages(
    tmp_path: Path, image_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick(monkeypatch)
    two = [{"name": "a", "iterations": 3}, {"name": "b", "iterations": 1}]
    recipe = _write(tmp_path / "r.yml", minutes=0.0399, stages=two, validate_every=10_000, save_every=10_000)
    assert [load(recipe).stage(n).minutes for n in (0, 1)] == pytest.approx([0.029925, 0.009975])
    result = finetune(recipe, image_folder, out=tmp_path / "run", device="cpu")
    parts = [TrainingResult.of(tmp_path / "run" / name) for name in ("1-a", "2-b")]
    assert [part.iterations for part in parts if part] == [18, 6]  # the first that ends after 1.7955 and 0.5985 s
    assert [part.seconds for part in parts if part] == pytest.approx([1.8, 0.6])
    assert result.iterations == 24  # though the recipe says 4: minutes decide
    records = [json.loads(line) for line in (tmp_path / "run" / "1-a" / "log.jsonl").read_text().splitlines()]
    assert all("seconds" in record for record in records if "validation" in record)


def test_minutes_bring_a_cosine_down_to_nothing(
    tmp_path: Path, image_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick(monkeypatch)
    optimizer = {"learning_rate": 1e-3, "schedule": "cosine"}
    recipe = _write(tmp_path / "r.yml", minutes=0.0332, optimizer=optimizer, iterations=10**6)
    finetune(recipe, image_folder, out=tmp_path / "run", device="cpu")
    rates = _rates(tmp_path / "run")
    assert len(rates) == 20
    assert rates[0] == 1e-3
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 2e-5


@pytest.fixture
def pair_folders(tmp_path: Path, image_folder: Path) -> tuple[Path, Path]:
    """Ground truth, and low resolution that is its negative, so that no other degradation could be meant."""
    low = tmp_path / "low"
    for path in sorted(image_folder.glob("eye_*.png")):
        small = 255 - image_io.read(path).pixels[::2, ::2]
        write_png(low / f"{path.stem}{'x2' if path.stem == 'eye_1' else ''}.png", small)
    return image_folder, low


def test_pairs_of_files_are_cut_and_turned_alike(pair_folders: tuple[Path, Path], tmp_path: Path) -> None:
    from medsr.data.pairs import PairedCrops, split_pairs

    truth, low = pair_folders
    jitter = {"gain": [0.5, 1.0], "offset": [0.0, 0.1]}
    for more in ({}, {"jitter": jitter}):
        data = {**RECIPE["data"], **more, "train": str(truth)}
        pairs = {"name": "pairs", "low_resolution": str(low)}
        recipe = load(_write(tmp_path / "p.yml", data=data, degradation=pairs))
        files = split_pairs(recipe)
        assert len(files.train) == 5
        crops = PairedCrops(files.train, recipe)
        for iteration in range(12):
            high, small = crops[iteration, 0]
            assert high.shape == (3, 32, 32)
            assert small.shape == (3, 16, 16)
            if not more:
                corners = [high[:, y::2, x::2] for y in (0, 1) for x in (0, 1)]  # turned, the pixel kept is another
                assert any(torch.allclose(1 - small, corner, atol=1e-6) for corner in corners)
            else:  # one gain and offset for both: the sum of an image and its negative is constant
                assert any(
                    float((small + high[:, y::2, x::2]).flatten(1).std(1).max()) < 1e-3 for y in (0, 1) for x in (0, 1)
                )


def test_pairs_train_and_are_validated_on_their_own_low_resolution(
    pair_folders: tuple[Path, Path], tmp_path: Path
) -> None:
    truth, low = pair_folders
    recipe = _write(tmp_path / "p.yml", degradation={"name": "pairs", "low_resolution": str(low)})
    write_png(truth / "lonely.png", image_io.read(truth / "eye_0.png").pixels)
    write_png(low / "eye_2.png", image_io.read(low / "eye_2.png").pixels[:-2])
    lines: list[str] = []
    result = finetune(recipe, truth, out=tmp_path / "run", device="cpu", notify=lines.append)
    assert result.bicubic["psnr"] < 12  # a negative
    assert any("lonely.png" in line and "has no low resolution" in line for line in lines)
    assert any("eye_2.png" in line and "is not 2 times that" in line for line in lines)
    with pytest.raises(UsageError, match="no pair to train on"):
        finetune(recipe, truth, out=tmp_path / "b", overrides=["scale=4"])


def test_a_partner_that_is_missing_is_named(pair_folders: tuple[Path, Path], tmp_path: Path) -> None:
    from medsr.data.pairs import Partners

    truth, low = pair_folders
    data = {**RECIPE["data"], "train": str(truth)}
    pairs = {"name": "pairs", "low_resolution": str(low)}
    partners = Partners(load(_write(tmp_path / "p.yml", data=data, degradation=pairs)))
    assert partners(truth / "eye_1.png").name == "eye_1x2.png"
    with pytest.raises(InputError, match="no low resolution too_small"):
        partners(truth / "too_small.png")


def test_sixteen_bits_mean_the_same_in_both_of_a_pair(tmp_path: Path, fundus: np.ndarray) -> None:
    """The ground truth reaches 13 bits, its low resolution only 12: neither says so."""
    for index in range(3):
        wide = (fundus[:96, 60 * index : 60 * index + 96].astype(np.uint16) * 20) + 400
        wide[10, 10] = 6000
        write_png(tmp_path / "high" / f"{index}.png", wide)
        write_png(tmp_path / "low" / f"{index}.png", np.minimum(wide[1::2, 1::2], 4000))
    pairs = {"name": "pairs", "low_resolution": str(tmp_path / "low")}
    data = {**RECIPE["data"], "validation": "[2].png"}
    recipe = _write(tmp_path / "p.yml", degradation=pairs, data=data, iterations=1)
    assert finetune(recipe, tmp_path / "high", out=tmp_path / "run", device="cpu").bicubic["psnr"] > 28


def test_partners_by_names_with_points_and_in_one_folder(tmp_path: Path, fundus: np.ndarray) -> None:
    from medsr.data.pairs import Partners
    from tests.helpers.dicom import write_xray

    for folder, side in (("high", 64), ("low", 32)):
        (tmp_path / folder).mkdir()
        for index in range(3):
            write_xray(tmp_path / folder / f"IM.000{index}", np.zeros((side, side), np.uint16))
    pairs = {"name": "pairs", "low_resolution": str(tmp_path / "low")}

    def partners(**more: Any) -> Partners:
        data = {**RECIPE["data"], "train": str(tmp_path / "high")}
        return Partners(load(_write(tmp_path / "p.yml", degradation={**pairs, **more}, data=data)))

    assert [partners()(tmp_path / "high" / f"IM.000{n}").name for n in range(3)] == ["IM.0000", "IM.0001", "IM.0002"]
    write_png(tmp_path / "high" / "a.png", fundus[:64, :64])
    write_png(tmp_path / "high" / "ax2.png", fundus[:32, :32])
    both = partners(low_resolution=str(tmp_path / "high"))
    assert both(tmp_path / "high" / "a.png").name == "ax2.png"
    with pytest.raises(InputError, match="no low resolution"):
        both(tmp_path / "high" / "ax2.png")
    write_png(tmp_path / "high" / "ax2.tif", fundus[:32, :32])
    with pytest.raises(InputError, match=r"ax2\.png and ax2\.tif could both be"):
        partners(low_resolution=str(tmp_path / "high"))(tmp_path / "high" / "a.png")


def test_the_unknown_track_is_validated_on_its_own_blur(tmp_path: Path, image_folder: Path) -> None:
    more = {"protocol": {"blur_sigma": 0}, "iterations": 1}
    measured = [
        finetune(_write(tmp_path / "r.yml", degradation={"name": name}, **more), image_folder, out=tmp_path / name)
        for name in ("bicubic", "unknown")
    ]
    assert measured[0].bicubic["psnr"] > measured[1].bicubic["psnr"] + 0.5


def test_plain_generators_learn_from_slices_and_refine_volumes(tmp_path: Path) -> None:
    """P2: one network of images, trained on slices through a volume's three planes, averaged voxel by voxel."""
    import nibabel

    folder = tmp_path / "scans"
    folder.mkdir()
    for index in range(2):
        image = nibabel.Nifti1Image(smooth_volume((48, 44, 40), index).astype(np.int16), np.eye(4))
        image.to_filename(folder / f"scan{index}.nii.gz")
    recipe = _write(
        tmp_path / "r.yml",
        scale=1,
        channels=1,
        generator={"name": "rrdb-aggregated", "features": 8, "blocks": 1, "growth": 4},
        data={"validation": "scan1*", "crop": 32, "workers": 0},
        degradation={"name": "through-plane-mean", "factor": 2},
    )
    result = finetune(recipe, folder, out=tmp_path / "run", device="cpu")
    assert result.bicubic["psnr"] > 15
    thick = smooth_volume((48, 44, 40)).reshape(48, 44, 20, 2).mean(axis=3).astype(np.int16)
    nibabel.Nifti1Image(thick, np.diag([1, 1, 2, 1.0])).to_filename(tmp_path / "thick.nii.gz")
    outcome = volume(tmp_path / "thick.nii.gz", tmp_path / "fine.nii.gz", model=result.model, engine="torch")[0]
    assert outcome.error is None
    assert nibabel.load(tmp_path / "fine.nii.gz").shape == (48, 44, 40)
    with pytest.raises(UsageError, match="refines slices of volumes"):
        upscale(tmp_path / "any.png", tmp_path / "up", model=result.model, engine="torch")
