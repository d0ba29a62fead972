"""Models of every kind that is compiled, trained on real data; by what they are called in tests."""

from collections.abc import Callable, Mapping
from typing import Any

import lightgbm
import numpy as np
import pandas
import xgboost
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, RobustScaler, StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

IRIS, CANCER, DIABETES = (load(return_X_y=True) for load in (load_iris, load_breast_cancer, load_diabetes))
NAMED = IRIS[0], np.array(["setosa", "versicolor", "virginica"])[IRIS[1]]
TRUE = IRIS[0], IRIS[1] > 0
SMALL = {"n_estimators": 10, "random_state": 0}
QUIET = {**SMALL, "verbose": -1, "num_threads": 1}


def passengers() -> tuple[Any, Any]:
    """Numbers, some missing, and texts, in named columns."""
    random = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {
            "age": random.normal(40, 10, 300),
            "fare": random.exponential(30, 300),
            "city": random.choice(["Rome", "Oslo", "Bonn"], 300),
            "sex": random.choice(["m", "f"], 300),
        }
    )
    labels = np.where((frame["fare"] > 30) ^ (frame["city"] == "Oslo"), "yes", "no")
    frame.loc[::7, "age"] = np.nan
    return frame, labels


def prepared(handle_unknown: str = "ignore") -> Any:
    return ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "fare"]),
            ("texts", OneHotEncoder(handle_unknown=handle_unknown), ["city", "sex"]),
        ]
    )


def reviews() -> tuple[Any, Any]:
    texts = ["a good movie indeed", "bad movie", "good good fun", "an awful bad film", "fun film, not bad"]
    return texts * 8, [1, 0, 1, 0, 1] * 8


# Each fits its library's answers to the last bits.
EXACT: Mapping[str, Callable[[], Any]] = {
    "a forest": lambda: RandomForestClassifier(**SMALL).fit(*IRIS),
    "a forest whose leaves are mixed": lambda: RandomForestClassifier(**SMALL, min_samples_leaf=4).fit(*CANCER),
    "a forest of names": lambda: RandomForestClassifier(**SMALL).fit(*NAMED),
    "a forest of true and false": lambda: RandomForestClassifier(**SMALL).fit(*TRUE),
    "a forest with a data frame's columns": lambda: RandomForestClassifier(**SMALL).fit(
        load_iris(as_frame=True).data, IRIS[1]
    ),
    "extra trees": lambda: ExtraTreesClassifier(**SMALL).fit(*CANCER),
    "a tree": lambda: DecisionTreeClassifier(random_state=0).fit(*IRIS),
    "a tree that is one leaf": lambda: DecisionTreeClassifier().fit(IRIS[0], np.ones(150, int)),
    "a forest of values": lambda: RandomForestRegressor(**SMALL).fit(*DIABETES),
    "a forest of two values": lambda: RandomForestRegressor(**SMALL).fit(
        DIABETES[0], np.column_stack([DIABETES[1], -2 * DIABETES[1]])
    ),
    "a tree of values": lambda: DecisionTreeRegressor(random_state=0).fit(*DIABETES),
    "gradient boosting of two classes": lambda: GradientBoostingClassifier(**SMALL).fit(*CANCER),
    "gradient boosting of three": lambda: GradientBoostingClassifier(**SMALL).fit(*NAMED),
    "gradient boosting with the exponential loss": lambda: GradientBoostingClassifier(**SMALL, loss="exponential").fit(
        *CANCER
    ),
    "gradient boosting of values": lambda: GradientBoostingRegressor(**SMALL).fit(*DIABETES),
    "histogram boosting of two classes": lambda: HistGradientBoostingClassifier(max_iter=10).fit(*CANCER),
    "histogram boosting of three": lambda: HistGradientBoostingClassifier(max_iter=10).fit(*NAMED),
    "histogram boosting of values": lambda: HistGradientBoostingRegressor(max_iter=10).fit(*DIABETES),
    "histogram boosting of counts": lambda: HistGradientBoostingRegressor(max_iter=10, loss="poisson").fit(*DIABETES),
    "a scaled forest": lambda: make_pipeline(StandardScaler(), RandomForestClassifier(**SMALL)).fit(*CANCER),
    "scaled histogram boosting": lambda: make_pipeline(MinMaxScaler(), HistGradientBoostingClassifier(max_iter=10)).fit(
        *CANCER
    ),
    "LightGBM of two classes": lambda: lightgbm.LGBMClassifier(**QUIET).fit(*CANCER),
    "LightGBM of three": lambda: lightgbm.LGBMClassifier(**QUIET).fit(*NAMED),
    "LightGBM of values": lambda: lightgbm.LGBMRegressor(**QUIET).fit(*DIABETES),
    "LightGBM with missing values": lambda: lightgbm.LGBMClassifier(**QUIET).fit(with_gaps(CANCER[0]), CANCER[1]),
    "LightGBM as a forest": lambda: lightgbm.LGBMRegressor(
        **QUIET, boosting_type="rf", bagging_freq=1, bagging_fraction=0.6
    ).fit(*DIABETES),
    "LightGBM that stopped early": lambda: lightgbm.LGBMClassifier(n_estimators=200, verbose=-1, num_threads=1).fit(
        CANCER[0][::2],
        CANCER[1][::2],
        eval_set=[(CANCER[0][1::2], CANCER[1][1::2])],
        callbacks=[lightgbm.early_stopping(3, verbose=False)],
    ),
    "a bag of trees": lambda: BaggingClassifier(**SMALL).fit(*IRIS),
    "a vote": lambda: VotingClassifier(
        [("a", RandomForestClassifier(**SMALL)), ("b", GaussianNB())], voting="soft"
    ).fit(*IRIS),
    "a stack": lambda: StackingClassifier(
        [("a", RandomForestClassifier(**SMALL)), ("b", LogisticRegression(max_iter=1000))]
    ).fit(*IRIS),
    "a linear model": lambda: make_pipeline(StandardScaler(), LogisticRegression()).fit(*NAMED),
    "a regression": lambda: LinearRegression().fit(*DIABETES),
    "neighbours": lambda: KNeighborsClassifier().fit(*IRIS),
    "a network": lambda: MLPClassifier(max_iter=400, random_state=0).fit(
        StandardScaler().fit_transform(IRIS[0]), IRIS[1]
    ),
    "components": lambda: PCA(2).fit(IRIS[0]),
    "a scaler": lambda: StandardScaler().fit(IRIS[0]),
    "clusters": lambda: KMeans(3, n_init=1, random_state=0).fit(IRIS[0]),
    "a margin": lambda: SGDClassifier(random_state=0).fit(*IRIS),
    "a calibrated model": lambda: CalibratedClassifierCV(GaussianNB(), cv=3).fit(*IRIS),
    "a data frame into a forest": lambda: make_pipeline(prepared(), RandomForestClassifier(**SMALL)).fit(*passengers()),
    "a data frame into LightGBM": lambda: make_pipeline(prepared(), lightgbm.LGBMClassifier(**QUIET)).fit(
        *passengers()
    ),
}
# These are computed in FP32, by the library or by what ONNX has for them.
SINGLE: Mapping[str, Callable[[], Any]] = {
    "XGBoost of two classes": lambda: xgboost.XGBClassifier(**SMALL).fit(*CANCER),
    "XGBoost of three": lambda: xgboost.XGBClassifier(**SMALL).fit(*IRIS),
    "XGBoost of values": lambda: xgboost.XGBRegressor(**SMALL).fit(*DIABETES),
    "XGBoost of counts": lambda: xgboost.XGBRegressor(**SMALL, objective="count:poisson").fit(*DIABETES),
    "XGBoost with missing values": lambda: xgboost.XGBClassifier(**SMALL).fit(with_gaps(CANCER[0]), CANCER[1]),
    "XGBoost that stopped early": lambda: xgboost.XGBClassifier(n_estimators=200, early_stopping_rounds=3).fit(
        CANCER[0][::2], CANCER[1][::2], eval_set=[(CANCER[0][1::2], CANCER[1][1::2])], verbose=False
    ),
    "scaled XGBoost": lambda: make_pipeline(RobustScaler(), xgboost.XGBClassifier(**SMALL)).fit(*CANCER),
    "adaptive boosting": lambda: AdaBoostClassifier(**SMALL).fit(*CANCER),
    "a support vector regression": lambda: make_pipeline(StandardScaler(), SVR()).fit(*DIABETES),
    "support vectors": lambda: SVC().fit(*IRIS),
    "weighed words": lambda: make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(*reviews()),
    "counted words": lambda: make_pipeline(CountVectorizer(), MultinomialNB()).fit(*reviews()),
}


def with_gaps(rows: Any) -> Any:
    found = rows.copy()
    found[np.random.default_rng(0).random(found.shape) < 0.1] = np.nan
    return found
