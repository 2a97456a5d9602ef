"""A table that is no store: the census income data, two labels a row, a file a part. Run: BANYAN_DATA=FOLDER python examples/census_income.py"""

import os
import sys
from pathlib import Path

import polars as pl

import banyan

STORE = """
store: census income
samples:
  people:
    table: {data}/train.parquet
    features: {{{features}}}
    labels: {{income: income, married: married_never}}
    split: {{by: given, files: {{valid: {data}/val.parquet, test: {data}/test.parquet}}}}
tasks:
  income: {{kind: binary, samples: people, label: income}}
  married: {{kind: binary, samples: people, label: married}}
model: {{sharing: mmoe, history: null, balancing: uncertainty}}
training: {{epochs: 6, batch: 1024}}
"""


def describe(data: Path) -> str:
    """The page for a folder that holds train.parquet, val.parquet and test.parquet; columns C* are categories, I* numbers."""
    kinds = {"C": "category", "I": "number"}
    columns = pl.scan_parquet(data / "train.parquet").collect_schema().names()
    features = ", ".join(f"{column}: {kinds[column[0]]}" for column in columns if column[0] in kinds)
    return STORE.format(data=data.resolve(), features=features)


def main(data: Path, folder: Path, settings: list[str] | None = None) -> banyan.Run:
    """Describe, train, answer. `settings` such as training.epochs=1 change the page."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "store.yaml"
    page.write_text(describe(data))
    run = banyan.train(banyan.load(page, settings or []), folder / "run")
    print(run.table())
    print(run.bundle.predict("people", pl.read_parquet(data / "test.parquet").head(5)).select("income", "income.income", "married.married"))
    return run


if __name__ == "__main__":
    if "BANYAN_DATA" not in os.environ:
        sys.exit("Set BANYAN_DATA to the folder that holds census_income/{train,val,test}.parquet.")
    main(Path(os.environ["BANYAN_DATA"]) / "census_income", Path("runs/census_income"))
