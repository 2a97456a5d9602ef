"""Census-Income (KDD): people of the American surveys of 1994 and 1995, the table on which multi-gate experts were first shown."""

from pathlib import Path
from typing import ClassVar

import polars as pl

from banyan.store.datasets import Dataset
from banyan.store.datasets._folder import Folder
from banyan.store.datasets._text import Published, Separated
from banyan.store.datasets._writer import SEED, Writer, draw

TRAIN, TEST = "census-income.data", "census-income.test"
NUMBERS = ("age", "wage_per_hour", "capital_gains", "capital_losses", "dividends_from_stocks", "num_persons_worked_for_employer", "weeks_worked_in_year")
WEIGHT, STATUS, INCOME = "instance_weight", "marital_stat", "income_50k"
COLUMNS = (
    "age",
    "class_of_worker",
    "detailed_industry_recode",
    "detailed_occupation_recode",
    "education",
    "wage_per_hour",
    "enroll_in_edu_inst_last_wk",
    "marital_stat",
    "major_industry_code",
    "major_occupation_code",
    "race",
    "hispanic_origin",
    "sex",
    "member_of_a_labor_union",
    "reason_for_unemployment",
    "full_or_part_time_employment_stat",
    "capital_gains",
    "capital_losses",
    "dividends_from_stocks",
    "tax_filer_stat",
    "region_of_previous_residence",
    "state_of_previous_residence",
    "detailed_household_and_family_stat",
    "detailed_household_summary_in_household",
    "instance_weight",
    "migration_code_change_in_msa",
    "migration_code_change_in_reg",
    "migration_code_move_within_reg",
    "live_in_this_house_1_year_ago",
    "migration_prev_res_in_sunbelt",
    "num_persons_worked_for_employer",
    "family_members_under_18",
    "country_of_birth_father",
    "country_of_birth_mother",
    "country_of_birth_self",
    "citizenship",
    "own_business_or_self_employed",
    "fill_inc_questionnaire_for_veterans_admin",
    "veterans_benefits",
    "weeks_worked_in_year",
    "year",
    "income_50k",
)


class CensusIncome(Dataset):
    """Download `census.tar.gz` from https://archive.ics.uci.edu/dataset/117/census+income+kdd and unpack it.

    `census-income.data` (199,523 lines) and `census-income.test` (99,762), without a header: 42 fields with a comma and a space between
    them, `?` where nothing is known, the income last as ` - 50000.` or ` 50000+.`. Seven fields are numbers; the others are codes. The
    weight of the survey (`instance weight`) is left out, as the set's authors ask of classifiers.

    Split: Ma et al. (MMoE, KDD 2018, section 6.2): the file of training lines trains; half of the test lines, drawn at random, choose, the others judge.
    The paper names the size of the halves, not the draw. Its labels: income above 50,000 dollars, and never married.
    """

    title: ClassVar[str] = "Census-Income (KDD)"
    url: ClassVar[str] = "https://archive.ics.uci.edu/dataset/117/census+income+kdd"
    licence: ClassVar[str] = "CC BY 4.0"
    paper: ClassVar[str] = "Census-Income (KDD), UCI Machine Learning Repository, 2000, doi 10.24432/C5N30T; split: Ma et al., MMoE, KDD 2018"
    size: ClassVar[str] = "199,523 + 99,762 people, 40 features"
    split: ClassVar[str] = "of Ma et al., KDD 2018: .data trains, a random half of .test chooses, the other half judges"
    needs: ClassVar[str] = f"{TRAIN} and {TEST}"
    rows = {TRAIN: 199_523, TEST: 99_762}

    def write(self, source: Folder, writer: Writer) -> str:
        """Table: people."""
        train, test = self._file(source.one(TRAIN)), self._file(source.one(TEST))
        both = pl.concat([_people(train).with_columns(pl.lit("train").alias("part")), _people(test).with_columns(_half().alias("part"))])
        writer.table("people", writer.some(both, "row").drop("row"), [train, test])
        kinds = {name: "number" if name in NUMBERS else "category" for name in COLUMNS if name not in (WEIGHT, STATUS, INCOME)}
        values = {f"{name}_value": f"{{kind: category, column: {name}, least: 5}}" for name in NUMBERS}  # amounts that the forms know, by their very value
        return PAGE.replace("FEATURES", "\n".join(f"      {name}: {kind}" for name, kind in (kinds | values).items()))

    def _file(self, path: Path) -> Published:
        schema = {name: pl.Float64 if name in (*NUMBERS, WEIGHT) else pl.String for name in COLUMNS}
        return Spaced(path, schema, needed=(STATUS, INCOME), missing=("?",), trim=True)


class Spaced(Separated):
    """Fields with a comma and a space between them."""

    def parse(self, block: bytes, line: int) -> pl.DataFrame:
        """Values as the schema says."""
        return super().parse(block.replace(b", ", b","), line)


def _people(published: Published) -> pl.LazyFrame:
    income = pl.col(INCOME).str.contains("50000+", literal=True).cast(pl.Int8).alias("income")
    single = (pl.col(STATUS) == "Never married").cast(pl.Int8).alias("never_married")
    return published.scan().with_row_index("row").select("row", income, single, *(name for name in COLUMNS if name not in (WEIGHT, STATUS, INCOME)))


def _half() -> pl.Expr:
    return pl.when(draw("row", SEED + 1) < 0.5).then(pl.lit("valid")).otherwise(pl.lit("test"))


PAGE = """
store: census income
samples:
  people:
    table: people.parquet
    labels: {income: income, never_married: never_married}    # income above 50,000 dollars; marital status, which is no feature therefore
    split: {by: given, column: part}
    features:
FEATURES

tasks:
  income:        {kind: binary, samples: people, label: income}
  never_married: {kind: binary, samples: people, label: never_married}

model: {width: 16, sharing: {part: mmoe, dropout: 0.3}, cross: dcn, history: null}
training: {epochs: 8, batch: 1024, weight_decay: 0.03}
"""
