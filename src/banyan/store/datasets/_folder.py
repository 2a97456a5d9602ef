"""The folder that a user has downloaded: finds files by their published names, and says what is there where one is not."""

import re
from collections.abc import Sequence
from pathlib import Path

from banyan.errors import ConfigError

DEPTH = 4  # folders below the one that was given
PACKED = (".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar")
SHOWN = 12


class Folder:
    """Files below a path, by name. A file may be compressed with gzip (`.gz` after its name)."""

    def __init__(self, path: Path, title: str, needs: str, url: str) -> None:
        if not path.is_dir():
            raise ConfigError(f"There is no folder {path}. {title} needs {needs}, from {url}.")
        self.path, self.title, self.needs, self.url = path, title, needs, url
        self.files = sorted(each for each in path.rglob("*") if each.is_file() and len(each.relative_to(path).parts) <= DEPTH + 1)

    def matching(self, pattern: str) -> list[tuple[re.Match[str], Path]]:
        """Files whose whole name, without `.gz`, fits a regular expression, with the match; sorted by path."""
        found = ((re.fullmatch(pattern, each.name.removesuffix(".gz")), each) for each in self.files)
        return [(match, each) for match, each in found if match]

    def has(self, name: str) -> bool:
        """Whether a file of that name is there."""
        return bool(self.matching(re.escape(name)))

    def one(self, name: str) -> Path:
        """The file of that name. Raises ConfigError where there is none, or more than one."""
        return self.only(name, [path for _, path in self.matching(re.escape(name))])

    def only(self, name: str, found: Sequence[Path]) -> Path:
        """The one file of those found. Raises ConfigError otherwise."""
        if len(found) > 1:
            listed = ", ".join(str(each.relative_to(self.path)) for each in found)
            raise ConfigError(f"{self.path} holds {name} more than once: {listed}. Name the folder of one of them.")
        if not found:
            raise self.missing(name)
        return found[0]

    def missing(self, name: str) -> ConfigError:
        """The error for a file that is not there."""
        shown = [str(each.relative_to(self.path)) for each in self.files[:SHOWN]]
        more = f" and {len(self.files) - SHOWN} more" if len(self.files) > SHOWN else ""
        there = f"it holds {', '.join(shown)}{more}" if shown else "it is empty"
        packed = [each.name for each in self.files if each.name.lower().endswith(PACKED)]
        unpack = f" Unpack {', '.join(packed[:3])} first." if packed else ""
        return ConfigError(f"There is no file {name} in {self.path}; {there}.{unpack} {self.title} needs {self.needs}, from {self.url}.")
