"""How parts are found, described and refused."""

import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from banyan import parts
from banyan.errors import ConfigError
from banyan.sharing import Sharing
from banyan.types import Sizes

SIZES = Sizes(slots={"item": slice(0, 2)}, width=4, views=2)
FOLDER_FILES = [(family, name) for family in parts.FAMILIES for name in parts.names(family)]

LENT = """
from banyan.sharing import Sharing

class Mine(Sharing):
    def __init__(self, sizes, *, scale: float = 2.0):
        super().__init__(sizes)
        self.width, self.scale = sizes.flat, scale

    def forward(self, x, scenario, views):
        return self.scale * x.flatten(1).expand(len(views), -1, -1)

class NotAPart:
    pass
"""


@pytest.fixture
def lent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "lent_for_parts.py").write_text(LENT)
    (tmp_path / "lent_needy.py").write_text(LENT.replace("scale: float = 2.0", "scale: float"))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield "lent_for_parts"
    for name in ("lent_for_parts", "lent_needy"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("family, name", FOLDER_FILES)
def test_a_file_holds_exactly_one_public_concrete_part(family: str, name: str) -> None:
    package = importlib.import_module(f"banyan.{family}")
    module = importlib.import_module(f"banyan.{family}.{name}")
    base = getattr(package, parts.FAMILIES[family])
    own = [each for key, each in vars(module).items() if inspect.isclass(each) and each.__module__ == module.__name__ and not key.startswith("_")]
    concrete = [each for each in own if issubclass(each, base) and not inspect.isabstract(each)]
    assert concrete == [parts.find(family, name)]


@pytest.mark.parametrize("family, name", FOLDER_FILES)
def test_every_option_has_a_type(family: str, name: str) -> None:
    for key, each in parts.options(family, name).items():
        assert each.annotation is not inspect.Parameter.empty, key


@pytest.mark.parametrize("family", parts.FAMILIES)
def test_names_are_the_files_of_the_folder(family: str) -> None:
    folder = Path(importlib.import_module(f"banyan.{family}").__path__[0])
    files = {path.stem for path in folder.glob("[!_]*.py")} | {path.parent.name for path in folder.glob("[!_]*/__init__.py")}
    assert parts.names(family) == sorted(files)


def test_a_private_file_is_no_part() -> None:
    assert importlib.import_module("banyan.sharing._blocks")
    with pytest.raises(ConfigError, match="has no part '_blocks'"):
        parts.find("sharing", "_blocks")


def test_options_are_the_keyword_only_arguments() -> None:
    known = parts.options("sharing", "mmoe")
    assert list(known) == ["experts", "layers", "dropout"]
    assert known["experts"].default == 4


def test_a_part_is_written_as_a_name_or_a_mapping() -> None:
    assert parts.spec("mmoe") == ("mmoe", {})
    written = {"part": "mmoe", "experts": 6}
    assert parts.spec(written) == ("mmoe", {"experts": 6})
    assert written == {"part": "mmoe", "experts": 6}
    with pytest.raises(ConfigError, match="a mapping with the key 'part'"):
        parts.spec({"experts": 6})


def test_an_unknown_part_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"sharing has no part 'mmeo'\. Did you mean 'mmoe'\? Known: bottom, "):
        parts.build("sharing", "mmeo", SIZES)


def test_an_unknown_option_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"sharing 'mmoe' has no option 'expert'\. Did you mean 'experts'\? Known: experts, layers, dropout\."):
        parts.build("sharing", {"part": "mmoe", "expert": 4}, SIZES)


def test_a_word_near_nothing_gets_no_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"has no option 'zzz'\. Known"):
        parts.check("sharing", {"part": "mmoe", "zzz": 4})


def test_a_part_without_options_says_so() -> None:
    with pytest.raises(ConfigError, match="It has no options"):
        parts.check("cross", {"part": "fm", "rank": 4})


@pytest.mark.parametrize("option, value", [("experts", "many"), ("experts", 2.5), ("layers", "wide"), ("layers", [64, "x"]), ("dropout", None)])
def test_a_value_of_the_wrong_type_is_refused(option: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"option '{option}' is "):
        parts.check("sharing", {"part": "mmoe", option: value})


def test_values_as_yaml_and_the_command_line_write_them_are_taken() -> None:
    name, given = parts.check("sharing", {"part": "mmoe", "layers": [32, 16], "experts": "6"})
    assert (name, given) == ("mmoe", {"layers": (32, 16), "experts": 6})
    assert parts.build("sharing", {"part": name, **given}, SIZES).width == 16


def test_a_part_can_be_lent_from_outside(lent: str) -> None:
    part = parts.build("sharing", {"part": f"{lent}:Mine", "scale": 3}, SIZES)
    assert isinstance(part, Sharing)
    x = torch.ones(5, 2, 4)
    assert part(x, torch.zeros(5, dtype=torch.long), [0]).tolist() == (3 * x.flatten(1)).expand(1, -1, -1).tolist()
    assert list(parts.options("sharing", f"{lent}:Mine")) == ["scale"]
    with pytest.raises(ConfigError, match="Did you mean 'scale'"):
        parts.check("sharing", {"part": f"{lent}:Mine", "scael": 3})


@pytest.mark.parametrize(
    "name, reason",
    [("no_such_package_here:Mine", "cannot be imported"), ("lent_for_parts:Yours", "cannot be imported"), ("lent_for_parts:NotAPart", "is not a Sharing")],
)
def test_a_lent_part_that_is_none_is_refused(lent: str, name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        parts.find("sharing", name)


def test_a_required_option_that_is_missing_is_named(lent: str) -> None:
    with pytest.raises(ConfigError, match="needs the option 'scale'"):
        parts.build("sharing", "lent_needy:Mine", SIZES)


def _bounds() -> Iterator[tuple[str, str, str, object]]:
    """(family, part, option, a value that cannot be right) of the families whose options state their range."""
    wrong: dict[type, list[object]] = {int: [-1, 2.5], float: [-1.0, float("nan"), float("inf")], tuple: [[0], "wide"]}
    for family in ("encoders", "history", "tasks"):
        for name in parts.names(family):
            for key, option in parts.options(family, name).items():
                for value in [] if isinstance(option.default, bool) or key == "levels" else wrong.get(type(option.default), []):
                    yield family, name, key, value
                if key in ("dropout", "smoothing"):
                    yield family, name, key, 1.0


@pytest.mark.parametrize("family, name, option, value", list(_bounds()))
def test_a_number_out_of_range_is_refused_before_anything_is_made(family: str, name: str, option: str, value: object) -> None:
    needed = {key: "word" for key, each in parts.options(family, name).items() if each.default is inspect.Parameter.empty}
    with pytest.raises(ConfigError, match=f"option '{option}' is .*; it takes .*should be"):
        parts.check(family, {"part": name, **needed, option: value})


def _needed(option: inspect.Parameter) -> object:
    """A value for an option without a default: a word, or two where it takes a tuple of words."""
    return ("one", "other") if "tuple[str" in str(option.annotation) else "word"


def test_every_default_is_in_range() -> None:
    for family, name in FOLDER_FILES:
        options = parts.options(family, name)
        given = {key: _needed(each) if each.default is inspect.Parameter.empty else each.default for key, each in options.items()}
        assert parts.check(family, {"part": name, **given}) == (name, given)
