"""The order of the site's pages: that of the data. A page that is not named here stands at the end; one that is not written yet is left out."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig

SECTIONS = {
    "Home": ["index"],
    "The map": ["architecture"],
    "Describe": ["store", "samples", "check", "world", "datasets", "demo"],
    "Learn": [
        "features", "encoders", "pictures", "signals", "history", "cross", "sharing", "tasks", "delayed", "scarcity",
        "modalities", "transfer", "model", "balancing", "training",
    ],
    "Judge": ["evaluation", "audit", "tune", "calibration", "bundle", "enrich", "nearest", "cli", "python", "benchmarks"],
    "Serve": ["serving", "guide", "console", "engine", "search", "state", "value", "registry", "experiments", "freshness", "deploy"],
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Write `nav` from the pages that are there."""
    there = {path.stem for path in Path(config.docs_dir).glob("*.md") if not path.stem.endswith(".zh")}
    nav: list[dict[str, object]] = []
    for section, names in SECTIONS.items():
        pages = [f"{name}.md" for name in names if name in there]
        if pages:
            nav.append({section: pages[0] if len(names) == 1 else pages})
    rest = sorted(there - {name for names in SECTIONS.values() for name in names})
    config.nav = nav + [f"{name}.md" for name in rest]
    return config
