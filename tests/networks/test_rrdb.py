"""RRDB generators of another number of channels."""

from __future__ import annotations

import pytest
import torch

from medsr.networks.rrdb import convert_channels, rrdb


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
