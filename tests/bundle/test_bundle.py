"""A bundle is whole or refused, keeps what must be kept, and loads where it is asked to."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from banyan.bundle import Bundle, folder, save
from banyan.errors import BundleError, ConfigError


@pytest.fixture
def copy(run, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run.path, tmp_path / "bundle"))


def restated(path: Path, change) -> None:
    """Edit a manifest as one would who wants it to be believed: the digest is made right again."""
    manifest = json.loads((path / folder.MANIFEST).read_text())
    change(manifest)
    (path / folder.MANIFEST).write_text(json.dumps({**manifest, "digest": folder.digest(manifest)}))


NAMES = ("weights.safetensors", "plan.json", "store.json", "facts.json", "log.safetensors", "statistics.safetensors", "item_vectors.safetensors", "README.md")


def test_it_holds_what_it_says(run) -> None:
    assert {each.name for each in run.path.iterdir()} >= {*NAMES, "manifest.json", "entity-0.safetensors", "entity-0.ids.parquet"}
    assert not [each for each in run.path.parent.iterdir() if each.name.startswith(".")], "nothing is left aside"


def test_every_weight_comes_back_exactly(run, bundle: Bundle) -> None:
    mine, theirs = bundle.network.state_dict(), run.network.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[key], theirs[key].float() if theirs[key].is_floating_point() else theirs[key]) for key in mine)
    assert bundle.plan == run.data.plan or bundle.plan.to_json() == json.loads(json.dumps(run.data.plan.to_json()))


def test_saving_twice_gives_the_same_bytes(run, tmp_path: Path) -> None:
    again = save(tmp_path / "again", run.network, run.data, run.shop.store, {"notes": run.shop.notes})
    for name in ("weights.safetensors", "plan.json", "store.json", "log.safetensors", "statistics.safetensors", "entity-1.safetensors"):
        assert (again / name).read_bytes() == (run.path / name).read_bytes(), name


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_byte_is_refused(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name} was changed"):
        Bundle.load(copy)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        Bundle.load(copy)


def test_a_shorter_file_is_refused(copy: Path) -> None:
    (copy / "plan.json").write_bytes((copy / "plan.json").read_bytes()[:-1])
    with pytest.raises(BundleError, match=r"plan\.json has .* bytes and had"):
        Bundle.load(copy)


def test_a_changed_manifest_is_refused(copy: Path) -> None:
    manifest = copy / folder.MANIFEST
    manifest.write_text(manifest.read_text().replace('"banyan": "', '"banyan": "9'))
    with pytest.raises(BundleError, match=r"manifest\.json was changed"):
        Bundle.load(copy)


def test_another_format_is_refused(copy: Path) -> None:
    restated(copy, lambda m: m.update(format=99))
    with pytest.raises(BundleError, match="format 99"):
        Bundle.load(copy)


@pytest.mark.parametrize("name", ["../u.parquet", "/etc/passwd", "a/b.json", ".hidden", ""])
def test_a_file_outside_of_the_folder_is_refused(copy: Path, name: str) -> None:
    def outside(manifest) -> None:
        manifest["files"][name] = {"bytes": 1, "sha256": "0" * 64}

    restated(copy, outside)
    with pytest.raises(BundleError, match="plain names"):
        Bundle.load(copy)


def test_a_link_is_refused(copy: Path, tmp_path: Path) -> None:
    shutil.move(copy / "plan.json", tmp_path / "elsewhere.json")
    (copy / "plan.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(BundleError, match="link"):
        Bundle.load(copy)


def test_a_manifest_without_the_weights_is_refused(copy: Path) -> None:
    restated(copy, lambda m: m["files"].pop("weights.safetensors"))
    with pytest.raises(BundleError, match=r"does not list weights\.safetensors"):
        Bundle.load(copy)


@pytest.mark.parametrize("content", [b"{}", b"[1, 2]", b"no json", b"\xff\xfe", b"[" * 100_000])
@pytest.mark.parametrize("name", ["plan.json", "store.json", "facts.json"])
def test_a_file_of_other_content_is_refused_in_a_sentence(copy: Path, name: str, content: bytes) -> None:
    (copy / name).write_bytes(content)
    restated(copy, lambda m: m["files"].update({name: {"bytes": len(content), "sha256": folder.sha256(copy / name)}}))
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        Bundle.load(copy)


def test_a_part_from_outside_is_not_imported(copy: Path) -> None:
    described = json.loads((copy / "store.json").read_text())
    described["model"]["sharing"] = "antigravity:Mine"
    (copy / "store.json").write_text(json.dumps(described))
    restated(copy, lambda m: m["files"].update({"store.json": {"bytes": (copy / "store.json").stat().st_size, "sha256": folder.sha256(copy / "store.json")}}))
    with pytest.raises(BundleError, match="from outside"):
        Bundle.load(copy)


def test_no_folder_and_no_bundle_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no folder"):
        Bundle.load(tmp_path / "none")
    with pytest.raises(BundleError, match="is no bundle"):
        Bundle.load(tmp_path)


def test_a_folder_of_something_else_is_not_replaced(run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(BundleError, match="is no bundle"):
        save(tmp_path / "mine", run.network, run.data, run.shop.store)
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


def test_a_writing_that_fails_leaves_the_old_bundle(copy: Path) -> None:
    def fails(aside: Path) -> None:
        (aside / "plan.json").write_text("{}")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        folder.write(copy, fails, {})
    Bundle.load(copy)


def test_weights_that_are_not_finite_are_not_saved(run, tmp_path: Path) -> None:
    import copy as copies

    broken = copies.deepcopy(run.network)
    broken.embeddings.weight[3, 0] = float("nan")
    with pytest.raises(BundleError, match=r"embeddings\.weight"):
        save(tmp_path / "broken", broken, run.data, run.shop.store)


def test_the_card_tells_tasks_metrics_rows_and_versions(run) -> None:
    card = (run.path / "README.md").read_text()
    for word in ("# Model card: corner shop", "| carted | auc | 0.6100 |", "| carted | gauc | undefined |", "viewed", "2,500 events", "torch", "mmoe"):
        assert word in card, word


@pytest.mark.parametrize(
    "url",
    ["postgresql://shop:hunter2@db.local/shop", "postgresql://shop:me@hunter2@db.local/shop", "postgresql://db.local/shop?Password=hunter2&sslmode=require"],
)
def test_passwords_of_databases_stay_at_home(run, url: str) -> None:
    from banyan.bundle.saving import described
    from banyan.store.schema import Source

    store = run.shop.store.model_copy(deep=True)
    store.events.table = Source(sql=url, query="select * from e")
    assert "hunter2" not in json.dumps(described(store))
    assert "db.local" in json.dumps(described(store))


def test_loading_leaves_random_numbers_alone(run) -> None:
    torch.manual_seed(7)
    wanted = torch.rand(1)
    torch.manual_seed(7)
    Bundle.load(run.path)
    assert torch.equal(torch.rand(1), wanted)


def test_it_moves_only_where_it_is_not_yet(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bundle.on("cpu") is bundle
    monkeypatch.setattr("banyan.bundle.answers.named", torch.device)
    moved = bundle.on("meta")
    assert {each.device.type for each in moved.network.state_dict().values()} == {"meta"}
    assert {each.device.type for each in bundle.network.state_dict().values()} == {"cpu"}, "the first bundle is as it was"
    assert moved._items.device.type == "meta"


def test_a_device_that_is_not_there_is_refused(run, bundle: Bundle) -> None:
    for move in (lambda: Bundle.load(run.path, device="gpu"), lambda: bundle.on("gpu")):
        with pytest.raises(ConfigError, match="There is no device 'gpu' here; devices are cpu"):
            move()
