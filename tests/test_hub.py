"""Promises of how language models are found: by name or folder, safetensors only, no code of theirs, known by their content."""

import json
import shutil
import sys
import types
from pathlib import Path

import pytest

from banyan import hub
from banyan.errors import ConfigError, MissingExtraError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What is looked at before a model is loaded."""
    made = tmp_path / "model"
    made.mkdir()
    (made / "config.json").write_text("{}")
    (made / "model.safetensors").write_bytes(b"weights")
    return made


def fetching(monkeypatch: pytest.MonkeyPatch, answer: Path | Exception) -> list[tuple[str, object]]:
    """A hub that notes what it is asked for."""
    asked: list[tuple[str, object]] = []

    def snapshot_download(name: str, **options: object) -> str:
        asked.append((name, options.get("allow_patterns")))
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    errors = types.SimpleNamespace(HFValidationError=ValueError)
    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(snapshot_download=snapshot_download))
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", errors)
    return asked


def test_a_folder_is_taken_as_it_is(folder: Path) -> None:
    assert hub.found(str(folder)) == folder


def test_a_name_is_looked_for_among_the_machines_own_models_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = fetching(monkeypatch, OSError("no network"))
    monkeypatch.setenv("BANYAN_MODELS", str(folder.parent))
    assert hub.found("somebody/model") == folder
    assert hub.found("/another/machine/model") == folder
    assert asked == []


def test_a_name_is_fetched_without_pickles_and_code(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = fetching(monkeypatch, folder)
    assert hub.found("somebody/other") == folder
    assert [name for name, _ in asked] == ["somebody/other"]
    assert not any(str(pattern).endswith((".bin", ".py", ".pt", "*")) for pattern in asked[0][1])


def test_a_name_that_nobody_has_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    fetching(monkeypatch, OSError("We could not connect\nand more"))
    with pytest.raises(ConfigError, match=r"'somebody/none' is no folder.*\(We could not connect\).*BANYAN_MODELS"):
        hub.found("somebody/none")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"\[models\]"):
        hub.found("somebody/none")


def test_pickled_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"pytorch_model\.bin, a pickle"):
        hub.found(str(folder))
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(ConfigError, match="it has none"):
        hub.found(str(folder))


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_a_model_with_code_of_its_own_is_refused(folder: Path, file: str) -> None:
    (folder / file).write_text(json.dumps({"auto_map": {"AutoModel": "modeling.Mine"}}))
    with pytest.raises(ConfigError, match=rf"{file} asks for code of its own \(AutoModel\)"):
        hub.found(str(folder))


def test_a_module_from_elsewhere_is_refused(folder: Path) -> None:
    (folder / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Transformer"}, {"type": "os.system"}]))
    with pytest.raises(ConfigError, match=r"names the class 'os\.system'"):
        hub.found(str(folder))


@pytest.mark.parametrize("content", ["[]", "{", "[" * 100_000])
def test_a_description_that_is_none_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(ConfigError, match=r"config\.json"):
        hub.found(str(folder))


def test_a_folder_without_a_description_is_refused(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(ConfigError, match=r"has no config\.json"):
        hub.found(str(folder))


def test_a_model_is_known_by_its_content_wherever_it_lies(folder: Path, tmp_path: Path) -> None:
    before = hub.digest(folder)
    other = Path(shutil.copytree(folder, tmp_path / "moved"))
    assert hub.digest(other) == before
    assert hub.same(str(other), {str(other): before}) == other
    (other / "model.safetensors").write_bytes(b"Weights")
    assert hub.digest(other) != before
    with pytest.raises(ConfigError, match=r"is not the language model .* that was trained with"):
        hub.same(str(other), {str(other): before})
