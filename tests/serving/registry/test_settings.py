"""Shared settings: whole or not there, changed by one at a time, every change told with who and when."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from banyan.errors import ConflictError, StateError
from banyan.serving.settings import FileSettings

WRITES = """
import sys
from pathlib import Path
from banyan.serving.settings import FileSettings
settings = FileSettings(Path(sys.argv[1]))
number = settings.newest()
while True:
    number += 1
    settings.set("pair", {"left": number, "right": number, "text": "x" * 5000}, "writer")
    print(number, flush=True)
"""


def test_a_setting_is_read_back_and_its_changes_are_told(settings: FileSettings) -> None:
    assert settings.setting("value") == (0, None)
    assert settings.newest() == 0
    first = settings.set("value", {"": "click"}, "ann")
    settings.set("other", 1, "ann")
    second = settings.set("value", {"": "buy"}, "bob", expected=first)
    assert settings.setting("value") == (second, {"": "buy"})
    assert settings.newest() == second == 3
    told = settings.changes("value")
    assert [(each.who, each.before, each.after) for each in told] == [("ann", None, {"": "click"}), ("bob", {"": "click"}, {"": "buy"})]
    assert abs(told[-1].at / 1e6 - time.time()) < 60


def test_a_change_of_what_somebody_else_changed_is_refused(settings: FileSettings) -> None:
    version = settings.set("value", 1, "ann", expected=0)
    settings.set("value", 2, "bob", expected=version)
    with pytest.raises(ConflictError, match="somebody changed it"):
        settings.set("value", 3, "ann", expected=version)
    assert settings.setting("value")[1] == 2


def test_of_many_who_change_at_once_one_wins_each_time(settings: FileSettings) -> None:
    def count(_: int) -> int:
        tries = 0
        while True:
            tries += 1
            version, value = FileSettings(settings.folder).setting("count")
            try:
                FileSettings(settings.folder).set("count", (value or 0) + 1, "one of them", expected=version)
                return tries
            except ConflictError:
                pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(24)))
    assert settings.setting("count")[1] == 24
    assert [each.after for each in settings.changes("count")] == list(range(1, 25))


def test_a_kill_while_writing_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    rng = random.Random(3)
    for _ in range(5):
        writer = subprocess.Popen([sys.executable, "-c", WRITES, str(tmp_path)], stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(rng.random() * 0.05)
        writer.send_signal(signal.SIGKILL)
        told = [int(line) for line in writer.stdout.read().split()]
        writer.wait()
        writer.stdout.close()
        settings = FileSettings(tmp_path)
        version, value = settings.setting("pair")
        assert value["left"] == value["right"] == version
        assert version >= max(told, default=0)  # what was acknowledged is there
        assert [each.version for each in settings.changes("pair")] == list(range(1, version + 1))


def test_a_change_that_was_written_down_and_never_held_is_not_told(settings: FileSettings) -> None:
    settings.set("value", 1, "ann")
    with (settings.folder / "changes.jsonl").open("a") as file:  # as a kill between the two files leaves it
        file.write(json.dumps({"version": 2, "name": "value", "who": "ghost", "at": 0, "before": 1, "after": 9}) + "\n" + '{"version": 3, "na')
    assert len(settings.changes("value")) == 1
    settings.set("value", 2, "bob")
    assert [each.who for each in settings.changes("value")] == ["ann", "bob"]


def test_a_full_disk_is_an_error_and_the_old_value_stays(settings: FileSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.set("value", 1, "ann")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("banyan.disk.os.fsync", full)
    with pytest.raises(StateError, match="No space"):
        settings.set("value", 2, "bob")
    monkeypatch.undo()
    assert settings.setting("value") == (1, 1)


def test_a_torn_file_is_an_error_and_no_empty_setting(settings: FileSettings) -> None:
    settings.set("value", 1, "ann")
    (settings.folder / "settings.json").write_text('{"newest": 1, "sett')
    with pytest.raises(StateError, match="restore"):
        settings.setting("value")


def test_a_value_that_is_too_large_is_refused(settings: FileSettings) -> None:
    with pytest.raises(StateError, match="bytes"):
        settings.set("value", "x" * (1 << 21), "ann")
