"""Which images a network has seen, kept with its weights."""

from __future__ import annotations

import hashlib

import pytest

from medsr.networks.seen_images import MOST, SeenImages, short_hash

HASHES = [short_hash(hashlib.sha256(bytes([index])).hexdigest()) for index in range(4)]


def test_they_come_back_from_metadata() -> None:
    seen = SeenImages(frozenset(HASHES[:3]), frozenset(HASHES[3:]))
    assert SeenImages.of_training(seen.metadata()) == seen
    assert SeenImages.of_training({"recipe": "old"}) == SeenImages()
    assert SeenImages().metadata() == {}


def test_an_image_that_was_trained_on_counts_as_that_alone() -> None:
    both = SeenImages(frozenset(HASHES[:1])) | SeenImages(frozenset(), frozenset(HASHES[:2]))
    assert both == SeenImages(frozenset(HASHES[:1]), frozenset(HASHES[1:2]))


@pytest.mark.parametrize("training", [None, "text", {"trained_on": 3}, {"trained_on": "no base64!"}])
def test_damaged_metadata_say_nothing(training: object) -> None:
    assert not SeenImages.of_training(training)


def test_a_weight_file_keeps_no_more_than_its_header_holds() -> None:
    many = SeenImages(frozenset(f"{index:016x}" for index in range(MOST + 1)))
    assert many.metadata() == {}
