"""Written cohorts: read(write(x)) == x, and what is kept beside the tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import valid_tables

from pmsstats.cohort.cohort import Cohort
from pmsstats.cohort.io import read_cohort, write_cohort
from pmsstats.cohort.schema import Measure, default_dictionary
from pmsstats.errors import SchemaError
from pmsstats.provenance import hash_file
from pmsstats.results import exclude

TABLES = ("subjects", "visits", "relapses", "exits")
OWN = Measure(name="own_score", label="Own <b>score</b>", plausible=(0, 10), worsening="lower")


def assert_same(found: Cohort, meant: Cohort) -> None:
    """Check that two cohorts hold the same, to the last bit."""
    for table in TABLES:
        pd.testing.assert_frame_equal(
            getattr(found, table), getattr(meant, table), check_exact=True
        )
    assert dict(found.dictionary) == dict(meant.dictionary)
    assert found.origin == meant.origin
    assert found.exclusions == meant.exclusions


# what coercion leaves as it is: no blanks around, no code for a missing value
LABELS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]),
    min_size=1,
    max_size=8,
).filter(
    lambda text: (
        text == text.strip()
        and text.casefold()
        not in {".", "na", "n/a", "#n/a", "nan", "none", "null", "missing", "<na>"}
    )
)
NUMBERS = st.floats(allow_nan=True, allow_infinity=False) | st.just(0.1 + 0.2)


@st.composite
def cohorts(draw: st.DrawFn) -> Cohort:
    """Draw cohorts with awkward labels, numbers and column types."""
    tables = draw(valid_tables())
    n = len(tables.subjects)

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=n, max_size=n))

    arms = draw(st.lists(LABELS, min_size=2, max_size=4, unique=True))
    arm = pd.Categorical(column(st.sampled_from(arms)), categories=arms, ordered=True)
    subjects = tables.subjects.assign(
        arm=arm,
        site_id=column(st.sampled_from(["01", "007", "1.0", "Z\u00fcrich"])),
        note=column(st.none() | LABELS),
        number=np.array(column(NUMBERS), dtype=float),
        whole=np.array(column(st.integers(-(2**62), 2**62)), dtype=np.int64),
        event=column(st.booleans()),
        doubt=pd.Series(column(st.none() | st.booleans()), dtype=object),
    )
    scores = draw(
        st.lists(
            st.just(0.0) | st.floats(0.001, 10),
            min_size=len(tables.visits),
            max_size=len(tables.visits),
        )
    )
    visits = tables.visits.assign(own_score=np.array(scores, dtype=float))
    return Cohort(
        subjects,
        visits,
        tables.relapses,
        tables.exits,
        dictionary=default_dictionary().extend(OWN),
        origin=draw(st.sampled_from(["real", "synthetic"])),
        exclusions=exclude("selection", "subject", "too young", ["X1", "X2"]),
    )


@pytest.mark.slow
@given(cohort=cohorts(), ending=st.sampled_from(["csv", "parquet"]))
def test_what_is_written_reads_back(
    cohort: Cohort, ending: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cohort")
    paths = write_cohort(cohort, folder, format=ending)
    assert [path.name for path in paths] == [*(f"{t}.{ending}" for t in TABLES), "cohort.json"]
    assert_same(read_cohort(folder), cohort)


def small_cohort(**kws: Any) -> Cohort:
    """Make a cohort of two."""
    subjects = pd.DataFrame({"subject_id": ["01", "02"], "arm": ["Placebo", "Active"]})
    visits = pd.DataFrame(
        {"subject_id": ["01", "01", "02"], "day": [0, 84, 0], "edss": [4.0, 4.5, 3.0]}
    )
    return Cohort(subjects, visits, **kws)


def test_a_study_file_beside_the_tables_gives_the_same_cohort(tmp_path: Path) -> None:
    cohort = small_cohort(origin="synthetic")
    write_cohort(cohort, tmp_path)
    study = tmp_path / "study.toml"
    lines = [f'{table} = "{table}.csv"' for table in TABLES]
    study.write_text("[tables]\n" + "\n".join(lines) + "\n")
    assert_same(read_cohort(study), cohort)


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    first = [hash_file(path) for path in write_cohort(small_cohort(), tmp_path / "a")]
    assert [hash_file(path) for path in write_cohort(small_cohort(), tmp_path / "b")] == first


def test_visits_without_values_stay_in_a_written_cohort(tmp_path: Path) -> None:
    visits = small_cohort().visits.drop(columns="year")
    visits.loc[1, "edss"] = np.nan
    cohort = Cohort(small_cohort().subjects, visits)
    write_cohort(cohort, tmp_path)
    assert read_cohort(tmp_path).n_visits == 3


def test_the_other_format_replaces_the_tables(tmp_path: Path) -> None:
    write_cohort(small_cohort(), tmp_path, format="parquet")
    (tmp_path / "mine.csv").write_text("kept")
    write_cohort(small_cohort(), tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {*(f"{table}.csv" for table in TABLES), "cohort.json", "mine.csv"}


def test_changed_table_is_said_and_stays_synthetic(tmp_path: Path) -> None:
    write_cohort(small_cohort(origin="synthetic"), tmp_path)
    path = tmp_path / "visits.csv"
    path.write_text(path.read_text().replace("4.5", "5.0"))
    cohort = read_cohort(tmp_path)
    assert cohort.visits["edss"].tolist() == [4.0, 5.0, 3.0]
    assert cohort.origin == "synthetic"
    issue = cohort.issues.set_index("rule").loc["changed_since_written"]
    assert "visits.csv was changed since write_cohort wrote it" in issue["message"]


def test_damaged_cohort_file(tmp_path: Path) -> None:
    write_cohort(small_cohort(), tmp_path)
    for content in ("{", "[]", json.dumps({"origin": "real"})):
        (tmp_path / "cohort.json").write_text(content)
        with pytest.raises(SchemaError, match="not as `write_cohort` wrote it"):
            read_cohort(tmp_path)


def test_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"one of csv, parquet, got 'parket'. Did you mean"):
        write_cohort(small_cohort(), tmp_path, format="parket")
