"""Reading recipes and other YAML that is checked against a model, and saying what is wrong with it."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from medsr.core.errors import UsageError
from medsr.core.resources import resource_dir
from medsr.core.suggest import did_you_mean
from medsr.recipe.schema import PREVIOUS, TAGS, Recipe

Checked = TypeVar("Checked", bound=BaseModel)


def find(name: str | Path, folder: str = "recipes", word: str = "recipe") -> Path:
    """A recipe's file: a path, or the name of a recipe that came with medsr (`retina`)."""
    path = Path(name)
    if path.is_file():
        return path
    shipped = {file.stem: file for file in sorted(resource_dir(folder).rglob("*.yml"))}
    if str(name) in shipped:
        return shipped[str(name)]
    listing = "see: medsr models recipes" if word == "recipe" else f"shipped: {', '.join(shipped)}"
    raise UsageError(f"{name}: no such {word}{did_you_mean(path.stem, list(shipped))} ({listing})")


def load(name: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read, override (`a.b=value`) and check a recipe.

    Raises UsageError, one line: the file, the key's path, what was expected and the nearest valid name.
    """
    path = find(name)
    recipe = check(path, Recipe, overrides)
    for index in range(len(recipe.stages)):
        try:
            recipe.stage(index)
        except ValidationError as error:
            reasons = "; ".join(f"stages.{index}.{_explain(item, Recipe)}" for item in error.errors())
            raise UsageError(f"{path}: {reasons}") from None
        if index and not _follows(recipe.stage(index - 1), recipe.stage(index)):
            raise UsageError(
                f"{path}: stages.{index}.generator: another network than that of the stage before, whose weights it "
                "starts from; start_from.matching takes what fits, start_from.generator another file"
            )
    return recipe


def _follows(before: Recipe, stage: Recipe) -> bool:
    """Whether a stage can take the weights of the one before. Other scales and channels take what fits."""
    start = stage.start_from
    same_kind = stage.generator.name == before.generator.name
    same_size = stage.generator.sizes == before.generator.sizes
    return start.generator != PREVIOUS or (same_kind and (start.matching or same_size))


def check(path: Path, model: type[Checked], overrides: Sequence[str] = ()) -> Checked:
    """Read a YAML file as `model`. Raises UsageError as `load` does."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except RecursionError as error:
        raise UsageError(f"{path}: nested deeper than any {model.__name__.lower()} is") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        word = model.__name__.lower()
        raise UsageError(f"{path}: a {word} is a mapping of keys to values, found {type(content).__name__}")
    for override in overrides:
        _override(content, override)
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{path}: " + "; ".join(_explain(item, model) for item in error.errors())) from None


MOST_VALUES = 100_000


class _StrictLoader(yaml.SafeLoader):
    """A key said twice is a mistake; YAML would keep the last. Ten lines of aliases make a thousand million values."""

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None and _count_values(node, {}) > MOST_VALUES:
            raise yaml.YAMLError(f"more than {MOST_VALUES} values")
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.YAMLError(f"line {node.start_mark.line + 1}: key {key!r} is given twice")
        return super().construct_mapping(node, deep)


def _count_values(node: yaml.Node, counts: dict[int, int]) -> int:
    """How many values a node has with its aliases written out. Raises RecursionError for one that holds itself."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in counts:
        parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        counts[id(node)] = 1 + sum(_count_values(part, counts) for part in parts)
    return counts[id(node)]


def _override(content: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        raise UsageError(f"`overrides={override}`: expected KEY=VALUE, for example optimizer.learning_rate=5e-5")
    *parents, last = key.split(".")
    mapping = content
    for parent in parents:
        mapping = mapping.setdefault(parent, {})
        if mapping is None or not isinstance(mapping, dict):
            raise UsageError(f"`overrides={override}`: {parent} holds a value, not keys")
    try:
        mapping[last] = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        mapping[last] = text  # a pattern such as *.png is no YAML, and is meant as it stands


def _explain(item: Any, model: type[BaseModel]) -> str:
    path = ".".join(str(part) for part in item["loc"] if part not in TAGS)
    if item["type"] == "extra_forbidden":
        valid = _valid_keys(item["loc"][:-1], model)
        key = str(item["loc"][-1])
        elsewhere = [place for place in _all_keys(model) if place.endswith(f".{key}") and place != path]
        near = f"; did you mean {elsewhere[0]!r}?" if len(elsewhere) == 1 else did_you_mean(key, valid)
        return f"{path}: unknown key{near} (valid here: {', '.join(valid)})"
    if item["type"] == "union_tag_invalid":
        tags = item["ctx"]["expected_tags"]
        near = did_you_mean(item["ctx"]["tag"], re.findall(r"'([^']+)'", tags))
        return f"{path}.name: expected one of {tags}, got {item['ctx']['tag']!r}{near}"
    if item["type"] == "missing":
        return f"{path}: missing; the {model.__name__.lower()} must say it"
    message = item["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if item["type"] == "value_error" and not isinstance(item["input"], str | int | float | bool | list):
        return f"{path}: {message}" if path else message
    return f"{path}: {message}, got {item['input']!r}"


def _all_keys(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Every key below, as `optimizer.learning_rate`; of a degradation, which may be of several kinds, no keys."""
    for name, field in model.model_fields.items():
        yield f"{above}{name}"
        for inner in typing.get_args(field.annotation) or (field.annotation,):
            if isinstance(inner, type) and issubclass(inner, BaseModel) and inner not in TAGS.values():
                yield from _all_keys(inner, f"{above}{name}.")


def _valid_keys(location: Sequence[str | int], root: type[BaseModel]) -> list[str]:
    model: Any = root
    for part in location:
        if part in TAGS:
            model = TAGS[str(part)]
            continue
        inner = model.model_fields[part].annotation if isinstance(part, str) and part in model.model_fields else None
        options = typing.get_args(inner) if isinstance(inner, types.UnionType) else (inner,)
        model = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), model)
    return sorted(model.model_fields)
