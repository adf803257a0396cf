"""The form in the XML of the Slicer Execution Model, which 3D Slicer reads when it starts."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree

from medsr.commands.slicer.parameters import Group, Parameter
from medsr.core.version import __version__

HEADER = '<?xml version="1.0" encoding="utf-8"?>\n'
"""Slicer looks for these very first characters."""
ABOUT = {
    "category": "Filtering",
    "title": "medsr super-resolution",
    "description": "Makes the voxels of a scan finer, in agreement with what was acquired. For research; not a medical "
    "device: detail seen only in the result is not a finding.",
    "version": __version__,
    "documentation-url": "",
    "license": "BSD-3-Clause",
    "contributor": "The medsr developers",
}


def describe(groups: tuple[Group, ...]) -> str:
    """The description of the program, as its `--xml` prints it."""
    root = ElementTree.Element("executable")
    for tag, text in ABOUT.items():
        ElementTree.SubElement(root, tag).text = text
    for group in groups:
        element = ElementTree.SubElement(root, "parameters", {"advanced": "true"} if group.advanced else {})
        _add_texts(element, {"label": group.label, "description": group.description})
        for parameter in group.parameters:
            _add(element, parameter)
    ElementTree.indent(root)
    return f"{HEADER}{ElementTree.tostring(root, encoding='unicode')}\n"


def _add(group: ElementTree.Element, parameter: Parameter) -> None:
    """One parameter. The order of what it holds is the schema's."""
    element = ElementTree.SubElement(group, parameter.tag, dict(parameter.attributes))
    _add_texts(
        element,
        {
            "name": parameter.name,
            "longflag": parameter.flag,
            "index": "" if parameter.index is None else str(parameter.index),
            "description": parameter.description,
            "label": parameter.label,
            "default": parameter.default,
            "channel": parameter.channel,
        },
    )
    for choice in parameter.elements:
        ElementTree.SubElement(element, "element").text = choice
    if parameter.limits is not None:
        limits = ElementTree.SubElement(element, "constraints")
        _add_texts(limits, dict(zip(("minimum", "maximum", "step"), map("{:g}".format, parameter.limits), strict=True)))


def _add_texts(element: ElementTree.Element, texts: Mapping[str, str]) -> None:
    """A child for each text there is."""
    for tag, text in texts.items():
        if text:
            ElementTree.SubElement(element, tag).text = text
