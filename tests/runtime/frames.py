"""A table of mixed types, and models that want it as a DataFrame."""

from typing import Any

import numpy as np
import pandas
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

CITIES = ["Bern", "Łódź", "Oslo"]


def people(count: int = 60) -> Any:
    """Age (float), children (int), city (text)."""
    random = np.random.default_rng(0)
    return pandas.DataFrame(
        {
            "age": random.normal(40, 9, count),
            "children": random.integers(0, 4, count),
            "city": random.choice(CITIES, count),
        }
    )


def labels(table: Any) -> Any:
    return np.where((table["age"] > 40) ^ (table["city"] == "Oslo") ^ (table["children"] > 1), "yes", "no")


def pipeline() -> tuple[Any, Any]:
    """A fitted one that picks its columns by name, and its table."""
    table = people()
    columns = ColumnTransformer(
        [("numbers", StandardScaler(), ["age", "children"]), ("words", OneHotEncoder(), ["city"])]
    )
    return make_pipeline(columns, RandomForestClassifier(10, random_state=0)).fit(table, labels(table)), table
