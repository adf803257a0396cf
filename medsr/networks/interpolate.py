"""Weights between those of two networks."""

from __future__ import annotations

from pathlib import Path

from medsr.core.errors import UsageError
from medsr.io.files import sha256
from medsr.networks import checkpoint, weight_store
from medsr.networks.learned_from import learned_from


def interpolate(first: str | Path, second: str | Path, share: float, out: Path) -> None:
    """Write (1 - share) of the weights of `first` and `share` of those of `second`, tensor by tensor, to `out`.

    Of use where one was trained on from the other: between a faithful and a sharp network (ESRGAN's network
    interpolation, Wang et al. 2018), or between one as it was and the same fine-tuned, which often does better than
    either on images that are like neither's (Wortsman et al. 2022). `first`, `second`: known names or weight files.
    Raises UsageError where they are not of one architecture, WeightsError where they cannot be read.
    """
    paths = [weight_store.locate(model) for model in (first, second)]
    if not 0 <= share <= 1:
        raise UsageError(f"`share={share:g}`: expected a number from 0 to 1")
    if out.suffix != ".safetensors":
        raise UsageError(f"`out={out}`: expected a name that ends in .safetensors")
    (first_net, spec), (second_net, other_spec) = (checkpoint.load(path) for path in paths)
    if spec != other_spec:
        raise UsageError(
            f"{first} and {second}: no weights between them, as they differ in kind or size: {spec}; {other_spec}"
        )
    first_state, second_state = first_net.state_dict(), second_net.state_dict()
    between = {name: first_state[name].lerp(second_state[name], share) for name in first_state}
    hashes = [sha256(path) for path in paths]
    training = checkpoint.describe(paths[1]).get("training", {})
    if not isinstance(training, dict):
        training = {}
    training.pop("strength", None)  # was fitted for the second one alone
    seen = learned_from(paths[0]) | learned_from(paths[1])
    checkpoint.save(out, between, spec, training | seen.metadata() | {"interpolated": {"from": hashes, "share": share}})
