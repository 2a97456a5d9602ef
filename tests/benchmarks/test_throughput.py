import json

import numpy as np
import pytest

from benchmarks import _peers, _report, _table, throughput
from benchmarks._race import Times

KEYS = {"ratio_cpu", "ratio_cpu_bf16", "ratio_wall", "ratio_bare", "fastest_peer", "contenders", "log_loss_gap", "bf16", "rows", "size"}


@pytest.mark.slow
def test_a_tiny_run_says_its_figures_in_the_last_line_and_writes_an_entry(tmp_path, capsys):
    results = tmp_path / "RESULTS.md"
    throughput.main(["--rows", "2000", "--peers", "", "--small", "--rounds", "3", "--results", str(results)])
    said = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert set(said) >= KEYS
    assert said["ratio_bare"] > 0
    assert said["ratio_cpu"] is None
    assert all(row["samples_per_cpu_second"] > 0 and np.isfinite(row["log_loss"]).all() for row in said["contenders"].values())
    text = results.read_text()
    assert "throughput, small" in text
    assert "--rows 2000" in text
    assert all(f"| {name} |" in text for name in said["contenders"])


@pytest.mark.slow
@pytest.mark.parametrize("peer", list(_peers.VERSIONS))
def test_a_peer_runs_through_its_own_trainer(peer, tmp_path):
    if not _peers.ready(peer):
        pytest.skip(f"{peer} has no environment under {_peers.cache()}; a run of benchmarks.throughput makes it")
    said = throughput.main(["--rows", "20000", "--peers", peer, "--small", "--rounds", "2", "--results", str(tmp_path / "R.md")])
    assert said["fastest_peer"] == peer
    assert said["ratio_cpu"] > 0
    assert set(said["contenders"]) >= {"banyan", "bare", peer, f"{peer}-fused"}


def test_ratios_are_medians_of_rounds_against_the_fastest_as_shipped():
    found = {
        "banyan": Times([30.0, 20.0, 90.0], [3.0, 3.0, 3.0], [0.5, 0.3]),
        "bare": Times([30.0, 40.0, 90.0], [3.0, 3.0, 3.0], [0.5, 0.3]),
        "slow": Times([1.0, 1.0, 1.0], [6.0, 6.0, 6.0], [0.5, 0.3]),
        "quick": Times([10.0, 10.0, 10.0], [1.0, 1.0, 1.0], [0.6, 0.4]),
        "quick-fused": Times([20.0, 20.0, 20.0], [1.0, 1.0, 1.0], [0.6, 0.4]),
    }
    said = _report.figures(found)
    assert said["fastest_peer"] == "quick"
    assert said["ratio_cpu"] == 3.0
    assert said["ratio_wall"] == 0.5
    assert said["ratio_bare"] == 1.0
    assert said["ratio_cpu_fastest_row"] == 1.5
    assert said["log_loss_gap"] == pytest.approx(-0.1)


def test_the_labels_depend_on_the_features():
    table = _table.make(20_000, 18_000)
    assert [len(np.unique(table.ids[:, i])) <= size for i, size in enumerate(table.sizes)] == [True] * _table.COLUMNS
    assert (table.sizes[0], table.sizes[-1]) == (10, 500_000)
    top = table.ids[:, 0] == np.bincount(table.ids[:, 0]).argmax()
    assert top.mean() > 0.25  # Zipf: the first of ten values has a third of the rows
    base = _table.log_loss(np.broadcast_to(table.labels.mean(0), table.labels.shape), table.labels)
    slope = np.corrcoef(np.abs(table.numbers[:, 0]), table.labels[:, 0])[0, 1]
    assert slope > 0.05
    assert all(0 < x < 0.6 for x in base)


def test_an_unknown_peer_is_named():
    with pytest.raises(SystemExit, match="known are torch-rechub, deepctr-torch"):
        throughput.main(["--peers", "torch-recsys"])
