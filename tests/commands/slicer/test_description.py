"""The form as 3D Slicer's parser takes it: every rule that it refuses a description by."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

import medsr
from medsr.commands.slicer.description import describe
from medsr.commands.slicer.parameters import Group, Parameter, groups
from medsr.core.resources import resource_dir
from medsr.networks import download

ABOUT = ["category", "title", "description", "version", "documentation-url", "license", "contributor"]
"""In this order, then the groups."""
INSIDE = ("name", "longflag", "index", "description", "label", "default", "channel", "element", "constraints")
"""What a parameter may hold, in this order."""
ATTRIBUTES = {"image": {"type", "reference"}, "double": set(), "string": set(), "string-enumeration": set()}
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@pytest.fixture(scope="module")
def root() -> ElementTree.Element:
    return ElementTree.fromstring(describe(groups()))


def parameters(root: ElementTree.Element) -> list[ElementTree.Element]:
    return [entry for group in root.iter("parameters") for entry in group if entry.tag not in ("label", "description")]


def test_it_begins_as_the_parser_wants_it() -> None:
    assert describe(groups()).startswith("<?xml ")


def test_the_head_is_whole_and_in_order(root: ElementTree.Element) -> None:
    assert root.tag == "executable"
    tags = [child.tag for child in root]
    count = tags.count("parameters")
    assert tags == ABOUT + ["parameters"] * count
    assert root.findtext("version") == medsr.__version__
    for group in root.iter("parameters"):
        assert [child.tag for child in group][:2] == ["label", "description"]
        assert set(group.attrib) <= {"advanced"}


def test_every_parameter_follows_the_rules(root: ElementTree.Element) -> None:
    names: list[str] = []
    for parameter in parameters(root):
        held = [child.tag for child in parameter]
        assert set(parameter.attrib) <= ATTRIBUTES[parameter.tag], "the parser refuses other attributes"
        assert sorted(held, key=INSIDE.index) == held
        assert {"name", "description", "label"} <= set(held)
        names.append(parameter.findtext("name") or "")
        assert IDENTIFIER.fullmatch(names[-1])
        flag, channel = parameter.findtext("longflag"), parameter.findtext("channel")
        assert flag is None or IDENTIFIER.fullmatch(flag), "no hyphens"
        assert not {"longflag", "index"} <= set(held), "either a flag or a place"
        assert channel in (None, "input", "output")
        if not {"longflag", "index"} & set(held):
            assert channel == "output", "only what comes back needs neither"
        if parameter.tag == "image":
            assert parameter.get("type") == "scalar"
            assert channel is not None
    assert len(set(names)) == len(names)
    assert all(entry.get("reference", "inputVolume") in names for entry in parameters(root))


def test_places_are_counted_from_zero(root: ElementTree.Element) -> None:
    assert [entry.findtext("index") for entry in parameters(root) if entry.find("index") is not None] == ["0", "1"]


def test_defaults_are_among_what_there_is_to_choose_from(root: ElementTree.Element) -> None:
    for parameter in parameters(root):
        choices = [choice.text for choice in parameter.iter("element")]
        assert bool(choices) == parameter.tag.endswith("-enumeration")
        assert len(set(choices)) == len(choices)
        if choices:
            assert parameter.findtext("default") in choices
        if (limits := parameter.find("constraints")) is not None:
            assert [limit.tag for limit in limits] == ["minimum", "maximum", "step"]
            least, most, step = (float(limit.text or "") for limit in limits)
            assert least <= float(parameter.findtext("default") or "") <= most
            assert step > 0


def models_of(text: str) -> list[str | None]:
    return [choice.text for choice in ElementTree.fromstring(text).findall(".//*[name='model']/element")]


def test_the_bundled_models_for_volumes_are_offered(root: ElementTree.Element) -> None:
    assert models_of(describe(groups())) == ["auto", "medsr-mri", "cubic", "back-projected"]


def test_a_model_of_the_users_own_is_offered() -> None:
    download.import_weights(resource_dir("pretrained") / "medsr-mri.safetensors", "our-scanner")
    assert models_of(describe(groups()))[-1] == "our-scanner"


def test_signs_of_xml_in_a_text_stay_text() -> None:
    parameter = Parameter("string-enumeration", "model", 'a "b" & c', "<filter-end>", flag="model", elements=("a<b&c",))
    root = ElementTree.fromstring(describe((Group("1 < 2", "&amp;", (parameter,)),)))
    assert root.findtext(".//element") == "a<b&c"
    assert root.findtext("parameters/description") == "&amp;"
    assert root.findtext("parameters/string-enumeration/description") == "<filter-end>"


def test_another_programs_reader_takes_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ctk_cli = pytest.importorskip("ctk_cli")
    path = tmp_path / "medsr.xml"
    path.write_text(describe(groups()), encoding="utf-8")
    module = ctk_cli.CLIModule(str(path))
    arguments, options, outputs = module.classifyParameters()
    assert [argument.name for argument in arguments] == ["inputVolume", "outputVolume"]
    assert [option.longflag for option in options] == [
        f"--{name}" for name in ("uncertainty", "factor", "model", "fuse", "thickness", "kind", "device")
    ]
    assert [output.name for output in outputs] == ["modelUsed", "agreement", "warnings"]
    assert next(option for option in options if option.name == "factor").default == 0.0
    assert [group.advanced for group in module] == [False, False, True, False]
    # What it remarks upon: results that come back need no flag, and `reference` is Slicer's own.
    remarks = [record.getMessage() for record in caplog.records]
    assert [line for line in remarks if "cannot be passed" not in line and "'reference'" not in line] == []
