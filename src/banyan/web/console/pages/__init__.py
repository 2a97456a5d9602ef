"""The console's pages, one file each: `page(desk)` builds it. `ORDER` is how the navigation shows them, the first one at `/console`."""

PATH = "/console"
ORDER = ("overview", "training", "tasks", "users", "items", "search", "value", "experiments", "versions", "data")


def address(name: str) -> str:
    """Where a page is."""
    return PATH if name == ORDER[0] else f"{PATH}/{name}"
