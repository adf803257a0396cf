"""A dataset card, and the people whose images it describes."""

from __future__ import annotations

CARD = """
name: mine
title: my eyes
licence: mine
files:
  image: "{subject:[a-z]+}_{eye:[LR]}.png"
  vessels: "{subject:[a-z]+}_{eye:[LR]}_vessels.gif"
split: {train: 0.5, validation: 0.25, test: 0.25}
ground_truth:
  multiscale: {scales: [0.75, 0.5], shortest_edge: null}
"""
PEOPLE = ("ann", "bob", "cyd", "dan", "eve", "fay", "gus", "hal")
