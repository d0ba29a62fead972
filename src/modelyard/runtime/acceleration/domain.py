"""Values at which a fitted model decides, or around which it was trained, for each of its input columns. Pure.

From the last step backwards: the thresholds of trees, or what another estimator tells of its data, is taken back
through scalers and imputers to the columns that the model is given; encoders and vectorizers know their words.

    columns of the input ◀── inverse of the scaler ◀── thresholds of the trees
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from modelyard.runtime.acceleration.errors import NotCompilable
from modelyard.wire.oip.nouns import Array

MOST_VALUES = 5_000  # of one column


@dataclass(slots=True)
class Column:
    """`values`: what is worth trying. `words`: where the column holds texts, what they are, or are made of.

    `sentences`: whether texts are made of several words. `strange`: whether words that the model does not know are
    taken.
    """

    values: list[float] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    sentences: bool = False
    strange: bool = True

    def add(self, other: "Column") -> None:
        self.values.extend(other.values)
        self.words.extend(other.words)
        self.sentences = self.sentences or other.sentences
        self.strange = self.strange and other.strange

    @property
    def known(self) -> list[float] | list[str]:
        return self.words if self.words else self.values

    @property
    def text(self) -> bool:
        return bool(self.words)


Columns: TypeAlias = list[Column]


def of(model: Any, features: int | None = None) -> Columns:
    """A column for each input of a fitted estimator. Raises `NotCompilable` where it tells too little."""
    if features is None:
        features = getattr(model, "n_features_in_", None)
    found = _back(model, features, None)
    for it in found:
        it.values = thin(it.values)
    return found


def thin(values: Sequence[float]) -> list[float]:
    """Each once, and not too many: the outermost, and some between."""
    finite = np.unique(np.asarray(values, np.float64))
    finite = finite[np.isfinite(finite)]
    if len(finite) > MOST_VALUES:
        finite = finite[np.linspace(0, len(finite) - 1, MOST_VALUES).astype(int)]
    return [float(it) for it in finite]


def _back(step: Any, features: int | None, after: Columns | None) -> Columns:
    """The columns that `step` takes; `after` are those that it gives to the next, None for the last."""
    if step is None or isinstance(step, str):
        return after or _some(features)
    name = type(step).__name__
    if name == "Pipeline":
        for _, each in reversed(step.steps):
            after = _back(each, getattr(each, "n_features_in_", None), after)
        return after or _some(features)
    if name == "ColumnTransformer":
        return _of_column_transformer(step, after)
    if name == "FeatureUnion":
        return _merged([_back(each, features, None) for _, each in step.transformer_list], features)
    if hasattr(step, "vocabulary_"):
        return [Column(words=[str(it) for it in step.vocabulary_] or ["a"], sentences=True)]
    if hasattr(step, "categories_"):
        strange = getattr(step, "handle_unknown", "ignore") != "error"
        return [_of_categories(it, strange) for it in step.categories_]
    if name == "FunctionTransformer":
        return after or _some(features)
    found = _elementwise(step, features, after)
    return found if found is not None else _told_by(step, features)


def _of_column_transformer(step: Any, after: Columns | None) -> Columns:
    found = [Column() for _ in range(step.n_features_in_)]
    names = list(getattr(step, "feature_names_in_", ()))
    for name, each, chosen in step.transformers_:
        if isinstance(each, str) and each == "drop":
            continue
        places = _places(chosen, names, step.n_features_in_)
        part = after[step.output_indices_[name]] if after is not None and name in step.output_indices_ else None
        if part is not None and len(part) == 0:
            part = None
        for place, column in zip(places, _back(each, len(places), part), strict=False):
            found[place].add(column)
    return found


def _places(chosen: Any, names: Sequence[str], features: int) -> list[int]:
    """The columns that a transformer was given: by name, number, slice or mask."""
    if isinstance(chosen, str):
        return [names.index(chosen)]
    if isinstance(chosen, int | np.integer):
        return [int(chosen)]
    if isinstance(chosen, slice):
        if isinstance(chosen.start, str) or isinstance(chosen.stop, str):
            raise NotCompilable("it picks its columns from a name to a name")
        return list(range(features))[chosen]
    picked = list(chosen)
    if picked and isinstance(picked[0], bool | np.bool_):
        return [place for place, it in enumerate(picked) if it]
    return [names.index(it) if isinstance(it, str) else int(it) for it in picked]


def _of_categories(categories: Array, strange: bool) -> Column:
    known = [it for it in categories if it is not None and it == it]
    if any(isinstance(it, str) for it in known):
        return Column(words=[str(it) for it in known], strange=strange)
    return Column(values=[float(it) for it in known], strange=strange)


def _elementwise(step: Any, features: int | None, after: Columns | None) -> Columns | None:
    """Of a step that changes each column by itself; None for any other."""
    if hasattr(step, "statistics_"):  # an imputer
        found = [Column(values=[float(it)]) if _is_number(it) else Column(words=[str(it)]) for it in step.statistics_]
        for mine, next_ in zip(found, after or (), strict=False):
            mine.add(next_)
        return found
    if hasattr(step, "bin_edges_"):
        return [Column(values=[float(it) for it in edges]) for edges in step.bin_edges_]
    if not hasattr(step, "inverse_transform") or features is None:
        return None
    own = _own_statistics(step, features)
    if own is None:
        return None
    if after is not None and len(after) == features:
        for mine, before in zip(own, _inverted(step, after), strict=True):
            mine.values.extend(before)
    return own


def _own_statistics(step: Any, features: int) -> Columns | None:
    """Around what a scaler was fitted to."""
    middle, spread = (getattr(step, name, None) for name in ("mean_", "scale_"))
    name = type(step).__name__
    if name == "RobustScaler":
        middle = step.center_
    elif name == "MinMaxScaler":
        return [Column(values=[float(a), float(b)]) for a, b in zip(step.data_min_, step.data_max_, strict=True)]
    elif name == "MaxAbsScaler":
        middle, spread = None, step.max_abs_
    elif name == "QuantileTransformer":
        return [Column(values=[float(it) for it in column]) for column in step.quantiles_.T]
    elif name not in ("StandardScaler", "PowerTransformer"):
        return None
    middle = np.zeros(features) if middle is None else np.asarray(middle)
    spread = np.ones(features) if spread is None else np.asarray(spread)
    if middle.shape != (features,) or spread.shape != (features,):
        return _some(features)
    return [
        Column(values=[float(m + s * times) for times in (-3, -1, 0, 0.5, 1, 3)])
        for m, s in zip(middle, spread, strict=True)
    ]


def _inverted(step: Any, after: Columns) -> list[list[float]]:
    pools = [thin(it.values) or [0.0] for it in after]
    longest = max(map(len, pools))
    matrix = np.column_stack([np.resize(np.asarray(pool), longest) for pool in pools])
    try:
        before = np.asarray(step.inverse_transform(matrix), np.float64)
    except (ValueError, TypeError, FloatingPointError):
        return [[] for _ in pools]
    return [list(column) for column in before.T]


def _told_by(step: Any, features: int | None) -> Columns:
    """What an estimator that is no scaler tells of its inputs."""
    parts = [*_flat(getattr(step, "estimators_", ())), *getattr(step, "calibrated_classifiers_", ())]
    parts += [it for it in (getattr(step, "estimator", None), getattr(step, "best_estimator_", None)) if _fitted(it)]
    tree = getattr(step, "tree_", None)
    if tree is not None:
        return _at(tree.feature, tree.threshold, features or tree.n_features)
    if hasattr(step, "_predictors"):
        nodes = np.concatenate([it.nodes for stage in step._predictors for it in stage])
        nodes = nodes[nodes["is_leaf"] == 0]
        return _at(nodes["feature_idx"], nodes["num_threshold"], features or 0)
    if hasattr(step, "get_booster"):
        from modelyard.runtime.acceleration import xgboost_trees

        return of_trees(xgboost_trees.of_estimator(step))
    if hasattr(step, "booster_"):
        from modelyard.runtime.acceleration import lightgbm_trees

        return of_trees(lightgbm_trees.Booster(step.booster_.model_to_string()))
    if parts:
        return _merged([_told_by_part(it, features) for it in parts], features)
    if features is None:
        raise NotCompilable(f"a {type(step).__name__} does not tell what it takes")
    return _of_data(step, features)


def of_trees(booster: Any) -> Columns:
    feature = np.concatenate([it.feature[it.left >= 0] for it in booster.trees])
    threshold = np.concatenate([it.threshold[it.left >= 0] for it in booster.trees])
    return _at(feature, threshold, booster.features)


def _told_by_part(part: Any, features: int | None) -> Columns:
    own = getattr(part, "n_features_in_", None)
    if own is not None and features is not None and own != features:
        return _some(features)  # it is shown other columns than the whole
    return _back(part, features, None)


# Points of the training data, or middles of it, as estimators keep them: [points, features].
_DATA = ("support_vectors_", "cluster_centers_", "theta_", "_fit_X", "centroids_", "means_")


def _of_data(step: Any, features: int) -> Columns:
    for name in _DATA:
        data = getattr(step, name, None)
        if isinstance(data, np.ndarray) and data.ndim == 2 and data.shape[1] == features:
            return [Column(values=thin(column)) for column in data.T]
    found = _some(features)
    mean = getattr(step, "mean_", None)
    if isinstance(mean, np.ndarray) and mean.shape == (features,):  # of a decomposition
        for column, middle in zip(found, mean, strict=True):
            column.values = [it + float(middle) for it in column.values]
    coefficients = getattr(step, "coef_", None)
    if isinstance(coefficients, np.ndarray) and coefficients.size and coefficients.shape[-1] == features:
        weights = np.abs(coefficients.reshape(-1, features)).max(axis=0)
        for column, weight in zip(found, weights, strict=True):
            if weight > 0:  # so that each column tips the balance
                column.values.extend(float(it / weight) for it in (-3, -1, -0.1, 0.1, 1, 3))
    return found


def _at(feature: Array, threshold: Array, features: int) -> Columns:
    found = [Column() for _ in range(features)]
    for place in np.unique(feature[feature >= 0]):
        found[place].values = thin(threshold[feature == place])
    return found


def _some(features: int | None) -> Columns:
    if features is None:
        raise NotCompilable("it does not tell how many columns it takes")
    return [Column(values=[-1.0, 0.0, 1.0]) for _ in range(features)]


def _merged(every: Sequence[Columns], features: int | None) -> Columns:
    found = [Column() for _ in range(features if features is not None else len(every[0]))]
    for columns in every:
        for mine, other in zip(found, columns, strict=False):
            mine.add(other)
    return found


def _flat(found: Any) -> list[Any]:
    """Lists, arrays and mappings of estimators."""
    if isinstance(found, Mapping):
        return list(found.values())
    if isinstance(found, np.ndarray):
        return list(found.reshape(-1))
    return [it[-1] if isinstance(it, tuple) else it for it in found]


def _fitted(it: Any) -> bool:
    return it is not None and hasattr(it, "n_features_in_")


def _is_number(it: Any) -> bool:
    return isinstance(it, int | float | np.number)
