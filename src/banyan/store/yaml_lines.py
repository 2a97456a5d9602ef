"""YAML text -> plain values, and the line on which each of them stands. Duplicate keys, merge keys and nests of aliases are refused."""

from typing import Any

import yaml

from banyan.errors import ConfigError

Path = tuple[str | int, ...]
MOST_NODES = 50_000  # values after aliases are written out: a page of aliases can stand for billions


class _Reader:
    def __init__(self, loader: yaml.SafeLoader, name: str) -> None:
        self.loader, self.name = loader, name
        self.lines: dict[Path, int] = {}

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if len(self.lines) > MOST_NODES or len(path) > 50:
            raise ConfigError(f"{self.name}, line {node.start_mark.line + 1}: too many values or too deep a nest for the description of a store.")
        if isinstance(node, yaml.MappingNode):
            return {key: self.value(each, (*path, key)) for key, each in self._pairs(node, path)}
        if isinstance(node, yaml.SequenceNode):
            return [self.value(each, (*path, i)) for i, each in enumerate(node.value)]
        try:
            return self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            raise ConfigError(f"{self.name}, line {node.start_mark.line + 1}: {node.value!r} cannot be read ({str(error).splitlines()[0]}).") from error

    def _pairs(self, node: yaml.MappingNode, path: Path) -> list[tuple[str, yaml.Node]]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                raise ConfigError(f"{self.name}, line {line}: a key is a plain word; merge keys (<<) and lists as keys are not read.")
            if key.value in seen:
                raise ConfigError(f"{self.name}, line {line}: the key {key.value!r} stands twice, first on line {seen[key.value]}; keep one.")
            seen[key.value] = line
            self.lines[(*path, key.value)] = line
        return [(key.value, each) for key, each in node.value]


def parse(text: str, name: str) -> tuple[Any, dict[Path, int]]:
    """(values, line of every path). `name` is the file in messages. Raises ConfigError that names the line."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        said = getattr(error, "problem", None) or error
        raise ConfigError(f"{name}{line}: this is no YAML: {said}. Look at the indentation and the colons there.") from error
    except RecursionError as error:
        raise ConfigError(f"{name}: too deep a nest for the description of a store.") from error
    if node is None:
        return {}, {(): 1}
    reader = _Reader(loader, name)
    return reader.value(node, ()), reader.lines
