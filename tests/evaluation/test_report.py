"""The report stands by itself, escapes every name, and says nothing that it does not know."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest

from banyan.evaluation import baselines, plots, report, transfer
from banyan.evaluation.questions import judges
from banyan.metrics import NAN, Interval
from banyan.training.budget import budget
from banyan.types import TEST

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Balanced(HTMLParser):
    """Follows the open tags; collects the text that a reader sees."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for key, value in attrs if key in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)


@pytest.fixture(scope="module")
def page(board: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> str:
    joint = budget(board.feeder, board.store.tasks, board.store.training)
    alone = {"liked": [transfer.alone(board.store, board.feeder, "liked", joint, board.evaluation.questions, TEST)]}
    found = baselines.run(board.store, board.data, board.evaluation.questions, TEST, only=("popularity",))
    rows = transfer.compare(board.store, board.data, board.evaluation, alone, found, draws=10)
    rows[0].joint, rows[0].over_best = NAN, Interval(NAN, NAN, NAN)
    notes = [*board.shop.notes, "a note about </script><script>alert(1)</script>"]
    made = report.Report(board.store, board.data, rows, board.evaluation, board.record, board.fit.history, found, alone, notes)
    path: Path = made.write(tmp_path_factory.mktemp("report") / "deep" / "report.html")
    return path.read_text(encoding="utf-8")


def seen(page: str) -> tuple[Balanced, str]:
    parser = Balanced()
    parser.feed(page)
    parser.close()
    return parser, " ".join(parser.text)


def test_every_tag_is_closed_and_nothing_is_fetched(page: str) -> None:
    parser, _ = seen(page)
    assert parser.open == []
    assert parser.sources == []


def test_names_are_text_and_no_markup(page: str) -> None:
    _, text = seen(page)
    assert "Black <b>&</b> white" in text
    assert "<i>search</i>" in text
    assert "</script><script>alert(1)</script>" in text
    assert page.count("<script>") == 2


def test_plots_hold_no_tag_and_no_nan(page: str) -> None:
    drawn = re.search(r"const plots = (.*);\n", page)
    assert drawn is not None
    assert "<" not in drawn[1]
    found = json.loads(drawn[1], parse_constant=lambda name: pytest.fail(f"{name} in a plot"))
    assert len(found) == page.count('class="plot"') > 10


def test_what_is_not_known_reads_undefined(page: str) -> None:
    _, text = seen(page)
    assert "undefined" in text
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)


def test_every_section_with_something_to_say_is_there(page: str) -> None:
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles == [
        "Tasks",
        "Gain or loss by task",
        "Calibration",
        "Validation by epoch",
        "Training losses",
        "Weights over time",
        "By scenario",
        "Warm and cold",
        "Every metric",
        "Data",
        "Notes",
        "Cost",
        "Options and versions",
    ]


def test_one_calibration_plot_a_probability(board: SimpleNamespace) -> None:
    found = plots.calibration(judges(board.data, board.store.tasks), board.evaluation.questions, board.evaluation.answers)
    assert [p["layout"]["title"]["text"] for p in found] == ["liked", "rare"]


def test_names_in_plots_are_escaped() -> None:
    history = [{"step": 20, "loss": {"<b>x": 1.0, "y": NAN}, "weight": {"<b>x": 1.0}, "lr": 0.1}]
    assert plots.losses(history)[0]["layout"]["title"]["text"] == "&lt;b&gt;x"
    assert plots.losses(history)[1]["data"][0]["y"] == [None]
    assert plots.weights(history)[0]["data"][0]["name"] == "&lt;b&gt;x"
