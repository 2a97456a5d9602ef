"""A table that is no store: the census income data, two labels a row. Run: BANYAN_DATA=FOLDER python examples/census_income.py"""

import os
import sys
from pathlib import Path

import polars as pl

import banyan


def write_store(data: Path, folder: Path) -> Path:
    """One table with its split in a column: categories C*, numbers I*, labels `income` and `married_never`."""
    parts = {"train": "train", "val": "valid", "test": "test"}
    rows = pl.concat([pl.read_parquet(data / f"{name}.parquet").with_columns(part=pl.lit(part)) for name, part in parts.items()])
    rows.write_parquet(folder / "people.parquet")
    kinds = {"C": "category", "I": "number"}
    features = ", ".join(f"{column}: {kinds[column[0]]}" for column in rows.columns if column[0] in kinds)
    page = folder / "store.yaml"
    page.write_text(
        f"""
store: census income
samples:
  people:
    table: people.parquet
    features: {{{features}}}
    labels: {{income: income, married: married_never}}
    split: {{by: given, column: part}}
tasks:
  income: {{kind: binary, samples: people, label: income}}
  married: {{kind: binary, samples: people, label: married}}
model: {{sharing: mmoe, history: null, balancing: uncertainty}}
training: {{epochs: 6, batch: 1024}}
"""
    )
    return page


def main(data: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    store = banyan.load(write_store(data, folder))
    run = banyan.train(store, folder=folder / "run")
    print(run.table())
    print(run.bundle.predict("people", pl.read_parquet(data / "test.parquet").head(5)))


if __name__ == "__main__":
    if "BANYAN_DATA" not in os.environ:
        sys.exit("Set BANYAN_DATA to the folder that holds census_income/{train,val,test}.parquet.")
    main(Path(os.environ["BANYAN_DATA"]) / "census_income", Path("runs/census_income"))
