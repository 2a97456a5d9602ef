"""What moved, and what stores share, as tables for a terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.table import Table


def tables(facts: Mapping[str, Any]) -> Group:
    """Features and how they were found, then parts and how much of each moved."""
    features = Table("feature", "there", "found", title=f"shared with {facts['store']}", title_justify="left")
    for each in facts["features"]:
        features.add_row(each["feature"], each["there"] or "–", each["found"])
    moved = Table("part", "moved", "new", "why", title="what the model starts from", title_justify="left")
    for each in facts["moved"]:
        moved.add_row(each["part"], f"{each['moved']:,}", f"{each['new']:,}", each["why"])
    return Group(features, moved)


def stores(facts: Mapping[str, Any]) -> Table:
    """What several stores share, a column a store."""
    found = Table("what", *facts["names"], title="the stores as one", title_justify="left")
    for row in facts["found"]:
        found.add_row(*row)
    return found
