from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsr import recipe as recipes
from medsr.core.errors import UsageError
from medsr.core.resources import resource_dir

MINIMAL = "name: x\nscale: 2\niterations: 10\n"


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.yml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", sorted(path.stem for path in resource_dir("recipes").glob("*.yml")))
def test_shipped_recipes_are_valid_and_survive_being_written_back(name: str, tmp_path: Path) -> None:
    recipe = recipes.load(name)
    again = recipes.load(_file(tmp_path, recipe.to_yaml()))
    assert again == recipe
    assert again.sha256() == recipe.sha256()


def test_retina_and_chest_carry_the_papers_settings() -> None:
    retina, chest = recipes.load("retina"), recipes.load("chest_xray")
    assert (retina.iterations, chest.iterations) == (3000, 16600)
    for recipe in (retina, chest):
        assert recipe.batch == 10
        assert recipe.optimizer.learning_rate == 1e-4
        assert recipe.ema == 0.999
        assert recipe.data.crop == 256
        assert recipe.degradation == recipes.HighOrder()  # the defaults are the published ranges
        assert recipe.losses.gan.weight == 0.1
        assert recipe.losses.perceptual == recipes.Perceptual()
        assert recipe.start_from.generator == "realesrgan-x4plus"
    assert retina.data.multiscale is None
    assert chest.data.multiscale == recipes.MultiScale(scales=(0.75, 0.5, 1 / 3), shortest_edge=400)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MINIMAL + "losses: {perceptuel: {weight: 1}}", "losses.perceptuel: unknown key; did you mean 'perceptual'?"),
        (MINIMAL + "iteratoins: 3", "iteratoins: unknown key; did you mean 'iterations'?"),
        (MINIMAL + "learning_rate: 1e-4", "learning_rate: unknown key; did you mean 'optimizer.learning_rate'?"),
        (MINIMAL + "data: {blur_sigma: 1}", "data.blur_sigma: unknown key; did you mean 'protocol.blur_sigma'?"),
        (MINIMAL + "optimizer: {learning_rate: fast}", "optimizer.learning_rate"),
        (MINIMAL + "optimizer: {learning_rate: -1}", "optimizer.learning_rate: input should be greater than 0, got -1"),
        (MINIMAL + "batch: true", "batch"),
        (MINIMAL + "batch: 2.5", "batch"),
        (MINIMAL + "ema: 1.5", "ema: input should be less than 1, got 1.5"),
        (MINIMAL + "precision: fp8", "precision"),
        (MINIMAL + "data: {crop: 102}", "data.crop: 102 is not a multiple of 4"),
        (MINIMAL + "losses: {gan: {weight: 0.1}}", "discriminator"),
        (MINIMAL + "degradation: {first: {jpeg_quality: [95, 30]}}", "degradation.first.jpeg_quality"),
        (MINIMAL + "degradation: {first: {blur_sigma: [0, 1]}}", "blur_sigma"),
        (MINIMAL + "losses: {perceptual: {weight: 1, layers: {conv9_1: 1}}}", "conv9_1"),
        (MINIMAL + "batch: 10\naccumulate: 3", "accumulate"),
        (MINIMAL + "data: {crop: 32, degrade_crop: 64}", "data.degrade_crop: 64 can shrink to 9 pixels"),
        (MINIMAL + "seed: .nan", "seed"),
        ("name: x\nscale: 2\n", "iterations: missing"),
        ("name: x\nname: y\nscale: 2\niterations: 1\n", "'name' is given twice"),
        ("- a\n- b\n", "a recipe is a mapping"),
        ("name: [", "not valid YAML"),
    ],
)
def test_a_wrong_recipe_names_the_file_the_key_and_what_was_expected(tmp_path: Path, text: str, expected: str) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        recipes.load(path)
    message = str(caught.value)
    assert expected in message
    assert str(path) in message
    assert "\n" not in message


def test_set_changes_nested_values_and_reads_numbers_like_1e_4(tmp_path: Path) -> None:
    path = _file(tmp_path, MINIMAL)
    recipe = recipes.load(path, ["optimizer.learning_rate=1e-5", "losses.l1.sharpened=false", "data.train=some folder"])
    assert recipe.optimizer.learning_rate == 1e-5
    assert recipe.losses.l1.sharpened is False
    assert recipe.data.train == "some folder"
    assert recipes.load(path, ["data.pattern=*.png"]).data.pattern == "*.png"


@pytest.mark.parametrize(
    "override", ["noequals", "=3", ".=3", "name.deeper=3", "data.crp=3", "name=../escape", "data.validation=2"]
)
def test_a_wrong_set_is_refused(tmp_path: Path, override: str) -> None:
    with pytest.raises(UsageError):
        recipes.load(_file(tmp_path, MINIMAL), [override])


def test_an_unknown_recipe_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'chest_xray'"):
        recipes.load("chest_xra")


@pytest.mark.slow
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
        max_leaves=8,
    )
)
def test_whatever_a_file_holds_the_answer_is_a_usage_error(
    tmp_path_factory: pytest.TempPathFactory, content: object
) -> None:
    import yaml

    path = tmp_path_factory.mktemp("recipe") / "any.yml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(UsageError):
        recipes.load(path)


@pytest.mark.parametrize(("on_a_cpu", "published"), [("p1_retina_cpu", "retina"), ("p1_chest_cpu", "chest_xray")])
def test_the_recipes_for_a_cpu_degrade_and_weigh_as_published(on_a_cpu: str, published: str) -> None:
    """Smaller crops and batches, and VGG16: all else that P1 states stays."""
    small, full = recipes.load(on_a_cpu), recipes.load(published)
    assert small.degradation == full.degradation
    assert (small.generator, small.discriminator) == (full.generator, full.discriminator)
    losses = small.losses.model_copy(update={"perceptual": full.losses.perceptual})
    assert losses == full.losses
    assert small.losses.perceptual.weight == full.losses.perceptual.weight
    assert small.losses.perceptual.sharpened == full.losses.perceptual.sharpened
    assert small.optimizer == full.optimizer
