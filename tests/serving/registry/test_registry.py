"""Versions are kept whole, tried before they serve, promoted and rolled back as one; a bad one is refused with its reasons and the old one stays."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from banyan.bundle import folder
from banyan.errors import BundleError, ConfigError, ConflictError
from banyan.serving.registry import Layout, Registry
from banyan.serving.settings import FileSettings

Make = Callable[..., Path]


def test_a_bundle_is_added_promoted_and_rolled_back(registry: Registry, bundle: Make) -> None:
    assert registry.active() is None
    one, two = registry.add(bundle("one"), "the first"), registry.add(bundle("two"))
    assert [each.name.split("-")[0] for each in registry.versions()] == ["0001", "0002"]
    assert one.path.is_dir()
    assert registry.version(one.name).note == "the first"
    registry.promote(one.name, "ann")
    registry.promote(two.name, "bob")
    active = registry.active()
    assert active is not None
    assert active.name == two.name
    assert active.names == ("click.click", "buy.buy", "item.price")
    assert registry.roll_back("ann") == one.name
    assert registry.layout()[1] == Layout(one.name)
    assert [(each.who, each.after["active"]) for each in registry.changes()] == [("ann", one.name), ("bob", two.name), ("ann", one.name)]
    with pytest.raises(ConfigError, match="no earlier"):
        registry.roll_back("ann")


def test_the_same_bundle_again_is_the_same_version(registry: Registry, bundle: Make) -> None:
    path = bundle("one")
    assert registry.add(path) == registry.add(path)
    assert len(registry.versions()) == 1


def test_what_was_added_does_not_change_with_its_source(registry: Registry, bundle: Make) -> None:
    path = bundle("one")
    version = registry.add(path)
    shutil.rmtree(path)
    assert registry.check(version.name).fine


@pytest.mark.parametrize("spoil", ["changed", "gone", "link", "outside"])
def test_a_bundle_that_is_not_whole_is_refused(registry: Registry, bundle: Make, tmp_path: Path, spoil: str) -> None:
    path = bundle("one")
    if spoil == "changed":
        (path / "engine.json").write_text((path / "engine.json").read_text().replace("one", "two"))
    elif spoil == "gone":
        (path / "engine.json").unlink()
    elif spoil == "link":
        (path / "engine.json").rename(tmp_path / "elsewhere")
        (path / "engine.json").symlink_to(tmp_path / "elsewhere")
    else:
        text = (path / "manifest.json").read_text().replace('"engine.json"', '"../secret"')
        (path / "manifest.json").write_text(text)
    with pytest.raises(BundleError):
        registry.add(path)
    assert registry.versions() == []
    assert not list((registry.folder / "versions").iterdir())


def test_a_full_disk_while_adding_leaves_the_registry_as_it_was(registry: Registry, bundle: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one = registry.add(bundle("one"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("banyan.serving.registry.shutil.copyfile", full)
    two = bundle("two")
    with pytest.raises(OSError, match="No space"):
        registry.add(two)
    monkeypatch.undo()
    assert registry.versions() == [one]
    assert registry.add(two).name.startswith("0002")


BAD: list[tuple[dict[str, Any], str]] = [
    ({"broken": True}, "cannot be opened"),
    ({"names": ["click.click", "item.price"]}, "does not answer buy.buy, which 0001"),
    ({"fails": True}, "12 of 12 requests: ValueError: no such scenario"),
    ({"score": float("nan")}, "a score is not finite"),
    ({"answer": float("inf")}, "an answer is not finite"),
    ({"items": ["a", "a"]}, "an item stands twice"),
    ({"items": ["a", "b", "c", "d"]}, "more items than were asked for"),
    ({"items": []}, "no item was found"),
]


@pytest.mark.parametrize(("said", "reason"), BAD)
def test_a_bad_candidate_is_refused_with_its_reason_and_the_old_one_stays(
    registry: Registry, bundle: Make, engine: Any, said: dict[str, Any], reason: str
) -> None:
    one = registry.add(bundle("one"))
    registry.promote(one.name, "ann")
    before = registry.layout()
    two = registry.add(bundle("two", **said))
    for attempt in (lambda: registry.promote(two.name, "bob"), lambda: registry.split(two.name, 0.1, "bob")):
        with pytest.raises(BundleError, match=reason):
            attempt()
    assert registry.layout() == before
    assert all(each.closed for each in engine.opened)


def test_a_candidate_that_was_spoiled_after_it_was_added_is_refused(registry: Registry, bundle: Make) -> None:
    one, two = registry.add(bundle("one")), registry.add(bundle("two"))
    registry.promote(one.name, "ann")
    (two.path / "engine.json").write_text("{}")
    with pytest.raises(BundleError, match=r"engine\.json"):
        registry.promote(two.name, "bob")
    (one.path / "engine.json").write_text("{}")
    assert registry.layout()[1].active == one.name


def test_a_candidate_that_the_value_model_cannot_order_is_refused(registry: Registry, bundle: Make, settings: FileSettings) -> None:
    settings.set("value", {"": "click + item.price"}, "ann")
    with pytest.raises(BundleError, match="value model in force"):
        registry.promote(registry.add(bundle("one", names=["click.click"])).name, "ann")


def test_a_slow_candidate_is_refused(registry: Registry, bundle: Make, engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.promote(registry.add(bundle("one")).name, "ann")
    answer = engine.recommend

    def slowly(self: Any, ask: Any, value: Any) -> Any:
        time.sleep(0.06)
        return answer(self, ask, value)

    monkeypatch.setattr(engine, "recommend", slowly)
    with pytest.raises(BundleError, match="median answer takes"):
        registry.promote(registry.add(bundle("two")).name, "ann")


def test_of_two_who_promote_at_once_one_is_told(registry: Registry, bundle: Make, settings: FileSettings) -> None:
    one, two = registry.add(bundle("one")), registry.add(bundle("two"))
    tried = registry.trial

    def meanwhile(*args: Any) -> Any:
        registry.trial = tried
        registry.promote(two.name, "bob")
        return tried(*args)

    registry.trial = meanwhile
    with pytest.raises(ConflictError):
        registry.promote(one.name, "ann")
    assert registry.layout()[1].active == two.name


def test_a_split_and_a_shadow_are_of_versions_that_are_there(registry: Registry, bundle: Make) -> None:
    one, two = registry.add(bundle("one")), registry.add(bundle("two", names=["click.click"]))
    registry.promote(one.name, "ann")
    registry.shadow(two.name, "ann")  # it need not answer all that the active one answers
    assert registry.layout()[1].used == (one.name, two.name)
    registry.shadow("", "ann")
    three = registry.add(bundle("three"))
    begun = registry.split(three.name, 0.1, "ann")
    grown = registry.split(three.name, 0.3, "ann")
    assert grown.salt == begun.salt
    assert grown.name != begun.name
    for share in (0.0, 1.0, -0.5, float("nan")):
        with pytest.raises(ConfigError, match="share"):
            registry.split(three.name, share, "ann")
    with pytest.raises(ConfigError, match="active"):
        registry.split(one.name, 0.5, "ann")
    with pytest.raises(ConfigError, match="no version"):
        registry.shadow("0009-nothing", "ann")
    registry.promote(three.name, "ann")
    assert registry.layout()[1].split is None


def test_versions_in_use_are_kept_and_others_pruned(registry: Registry, bundle: Make) -> None:
    names = [registry.add(bundle(f"b{i}")).name for i in range(6)]
    registry.promote(names[0], "ann")
    registry.promote(names[1], "ann")
    registry.shadow(names[2], "ann")
    with pytest.raises(ConfigError, match="in use"):
        registry.remove(names[0])
    assert registry.prune(keep=1) == [names[3], names[4]]
    assert [each.name for each in registry.versions()] == [names[0], names[1], names[2], names[5]]
    assert registry.add(registry.version(names[5]).path).name == names[5]


def test_a_version_is_rewritten_in_place(registry: Registry, bundle: Make) -> None:
    one = registry.add(bundle("one"))

    def without(old: Path, new: Path) -> None:
        assert (old / "engine.json").exists()
        folder.write(new, lambda aside: (aside / "engine.json").write_text('{"score": 7}') and None, {})

    found = registry.rewrite(one.name, without)
    assert (found.name, found.edition) == (one.name, 2)
    assert not one.path.exists()
    assert registry.version(one.name).path == found.path

    def torn(old: Path, new: Path) -> None:
        shutil.copytree(old, new)
        (new / "engine.json").write_text("{}")

    with pytest.raises(BundleError):
        registry.rewrite(one.name, torn)
    assert registry.check(one.name).fine


KILLS = """
import os, random, signal, sys, time
from pathlib import Path
from banyan.bundle import folder
from banyan.errors import ConfigError
from banyan.serving.registry import Registry
from banyan.serving.settings import FileSettings

where, bundles, rng, actives = Path(sys.argv[1]), [Path(each) for each in sys.argv[2:]], random.Random(7), set()

def registry():
    return Registry(where / "registry", FileSettings(where / "settings"))

def promote_for_ever():
    mine = registry()
    while True:
        for bundle in bundles:
            mine.promote(mine.add(bundle).name, "loop")
        for each in mine.versions():
            try:
                mine.remove(each.name)
            except ConfigError:
                pass

for kill in range(200):
    if kill >= 12 and len(actives) > 1:
        break
    child = os.fork()
    if not child:
        promote_for_ever()
    time.sleep(0.03 + 0.1 * rng.random())
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    found = registry()
    for version in found.versions():
        assert found.check(version.name).fine, version
    active = found.active()
    if active is not None:
        folder.check(active.path, ("engine.json",))
        actives.add(active.digest)
    assert found.add(bundles[0]).path.is_dir()
print(len(actives))
"""


def test_a_kill_while_promoting_leaves_the_old_or_the_new_one_whole(bundle: Make, tmp_path: Path) -> None:
    bundles = [str(bundle(f"b{i}", padding="x" * 20_000)) for i in range(3)]
    done = subprocess.run([sys.executable, "-c", KILLS, str(tmp_path), *bundles], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 2  # several were active in turn
