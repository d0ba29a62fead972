"""Which scikit-learn models want a DataFrame, and with which columns.

A model that was fitted with one mostly takes arrays as well, and they cost much less. Not so where a step picks its
columns by name, or where code of the user's own may do so.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from modelyard.runtime.formats import foreign
from modelyard.runtime.formats.frame_columns import Column
from modelyard.runtime.formats.settings import Settings
from modelyard.wire.oip.nouns import BYTES


def of_frame(estimator: Any, settings: Settings) -> tuple[Column, ...] | None:
    """None: arrays will do."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        return None
    if not any(_picks_by_name(it) for it in _parts(estimator)) and foreign.code_of(estimator) is None:
        return None
    texts = {name for it in _parts(estimator) for name in _text_columns(it)}
    said = {it.name: it for it in settings.inputs}
    columns: list[Column] = []
    for name in map(str, names):
        its = said.get(name)
        datatype = its.datatype if its is not None else None
        content_type = (its.content_type if its is not None else None) or ""
        columns.append(Column(name, datatype or (BYTES if name in texts else None), content_type))
    return tuple(columns)


def takes_text(estimator: Any) -> bool:
    """Whether its first step makes features of texts."""
    steps = getattr(estimator, "steps", None)
    return hasattr(steps[0][1] if steps else estimator, "build_analyzer")


def _parts(estimator: Any) -> Iterator[Any]:
    """The estimator and its steps, fitted ones where they are told from those that it was made of."""
    yield estimator
    for it in _children(estimator):
        if it is not None and not isinstance(it, str):
            yield from _parts(it)


def _children(estimator: Any) -> Iterator[Any]:
    for _, transformer, _ in _transformers(estimator):
        yield transformer
    for name in ("steps", "transformer_list"):
        for _, step in getattr(estimator, name, None) or ():
            yield step
    for name in ("best_estimator_", "estimator_", "estimator", "regressor_"):
        found = getattr(estimator, name, None)
        if hasattr(found, "get_params"):
            yield found
            return


def _transformers(estimator: Any) -> list[tuple[str, Any, Any]]:
    """Of a ColumnTransformer: name, transformer, columns."""
    found = getattr(estimator, "transformers_", None) or getattr(estimator, "transformers", None)
    return [it for it in found if len(it) == 3] if isinstance(found, list) else []


def _picks_by_name(estimator: Any) -> bool:
    return any(
        callable(columns) or isinstance(columns, str) or any(isinstance(it, str) for it in _listed(columns))
        for _, _, columns in _transformers(estimator)
    )


def _text_columns(estimator: Any) -> Iterator[str]:
    """Columns that go into a step which has learned texts."""
    for _, transformer, columns in _transformers(estimator):
        steps = [it for it in _parts(transformer) if not isinstance(it, str)]
        if isinstance(columns, str):
            if any(hasattr(it, "build_analyzer") for it in steps):
                yield columns
            continue
        learned: Mapping[int, str] = {
            place: categories.dtype.kind
            for it in steps
            for place, categories in enumerate(getattr(it, "categories_", None) or ())
        }
        yield from (
            str(name)
            for place, name in enumerate(_listed(columns))
            if isinstance(name, str) and learned.get(place, "") in ("O", "U", "S", "T")
        )


def _listed(columns: Any) -> list[Any]:
    try:
        return list(columns)
    except TypeError:
        return []
