"""One model compiled and checked: what `child` does. Slow, and hungry for memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from modelyard.runtime.acceleration import check, compile, domain, draw
from modelyard.runtime.acceleration.compile import Compiled
from modelyard.runtime.acceleration.compiled import CompiledModel
from modelyard.runtime.acceleration.domain import Column
from modelyard.runtime.acceleration.errors import NotCompilable
from modelyard.runtime.acceleration.feeding import feeds
from modelyard.runtime.acceleration.plan import Input, Output, Plan
from modelyard.runtime.errors import first_line
from modelyard.runtime.formats import content
from modelyard.runtime.formats.booster import BoosterModel
from modelyard.runtime.formats.sklearn import SklearnModel
from modelyard.runtime.model import Model, Signature
from modelyard.wire.oip import raw
from modelyard.wire.oip.nouns import BYTES, DATATYPES, Array, InferRequest, Tensor

ROWS = 4_000
_ALONE = 5  # of them asked one by one, too


@dataclass(frozen=True, slots=True)
class Made:
    content: bytes
    plan: Plan


def make(model: Model, path: Path, limits: check.Limits, *, count: int = ROWS) -> Made:
    """`model`: as loaded natively from `path`. Raises `NotCompilable`, with the reason."""
    if isinstance(model, SklearnModel):
        estimator = model.estimator
        columns = domain.of(estimator)
        names = [str(it) for it in getattr(estimator, "feature_names_in_", ())]
        inputs = compile.inputs_of([it.text for it in columns], names)
        problems: list[str] = []
        for single in (False, True):
            try:
                compiled = compile.estimator(estimator, inputs, single=single)
                return _checked(model, compiled, inputs, columns, names, limits, count, single=single)
            except NotCompilable as error:
                problems.append(str(error))
        raise NotCompilable(problems[0])
    if not isinstance(model, BoosterModel) or model.signature.platform not in (content.XGBOOST, content.LIGHTGBM):
        raise NotCompilable(f"models of the platform '{model.signature.platform}' are not compiled")
    booster, compiled = _booster(model.signature.platform, path)
    columns = domain.of_trees(booster)
    inputs = compile.inputs_of([False] * len(columns), ())
    single = model.signature.platform == content.XGBOOST
    return _checked(model, compiled, inputs, columns, model.columns, limits, count, single=single)


def _booster(platform: str, path: Path) -> tuple[Any, Compiled]:
    if platform == content.LIGHTGBM:
        import lightgbm

        from modelyard.runtime.acceleration import lightgbm_trees

        saved = lightgbm.Booster(model_file=str(path)).model_to_string()
        return lightgbm_trees.Booster(saved), compile.lightgbm(saved)
    from modelyard.runtime.acceleration import xgboost_trees

    opened = xgboost_trees.opened(path)
    return xgboost_trees.Booster(opened.saved, opened.iterations), compile.xgboost(
        opened.saved, opened.classes, opened.iterations
    )


def _checked(
    model: Model,
    compiled: Compiled,
    inputs: Sequence[compile.Input],
    columns: Sequence[Column],
    names: Sequence[str],
    limits: check.Limits,
    count: int,
    *,
    single: bool,
) -> Made:
    """Raises `NotCompilable` where a usual output does not answer as the native model; others are left to that."""
    offered = [it.name for it in model.signature.outputs if it.name in compiled.outputs]
    drawn, found, missing = _native(model, columns, names, offered, count)
    number = "FP32" if single else "FP64"
    plan = Plan(
        inputs=tuple(Input(it.name, it.columns, BYTES if it.text else number) for it in inputs),
        outputs=tuple(Output(name, compiled.outputs[name], it.datatype) for name, it in found.items()),
        width=len(columns),
        names=tuple(names),
        missing=missing,
        known={place: frozenset(it.known) for place, it in enumerate(columns) if not it.strange},
        comparison=check.Comparison(count),
    )
    answers = _answers(model.signature, compiled.content, drawn, plan)
    kept: list[Output] = []
    for output in plan.outputs:
        labels = output.name == "predict" and _names_classes(model)
        comparison = check.compare(found[output.name], answers[output.name], labels=labels)
        problem = comparison.problem(limits)
        if problem is None:
            plan = replace(plan, comparison=check.both(plan.comparison, comparison))
            kept.append(output)
        elif output.name in model.signature.usual:
            raise NotCompilable(problem)
        else:
            plan = replace(plan, native={**plan.native, output.name: problem})
    return Made(compiled.content, replace(plan, outputs=tuple(kept)))


def _answers(signature: Signature, graph: bytes, drawn: Sequence[Array], plan: Plan) -> Mapping[str, Tensor]:
    """Some of the rows are asked one by one, the others together."""
    outputs = [it.name for it in plan.outputs]
    try:
        fast = CompiledModel(signature, graph, plan)
        fed = feeds([it.reshape(-1, 1) for it in drawn], plan)
        parts = [slice(row, row + 1) for row in range(_ALONE)] + [slice(_ALONE, None)]
        answers = [fast.predict({name: data[part] for name, data in fed.items()}, outputs) for part in parts]
    except MemoryError:
        raise
    except Exception as error:  # ONNX Runtime has no common one
        raise NotCompilable(f"ONNX Runtime does not run its graph: {first_line(error)}") from None
    joined = {name: np.concatenate([part[place].data for part in answers]) for place, name in enumerate(outputs)}
    return {it.name: Tensor(it.name, it.datatype, joined[it.name]) for it in answers[0]}


def _native(
    model: Model, columns: Sequence[Column], names: Sequence[str], offered: Sequence[str], count: int
) -> tuple[Sequence[Array], Mapping[str, Tensor], bool]:
    """Drawn rows, column by column, the model's answers to them, and whether some of the numbers are NaN."""
    problem = ""
    numbers = any(not it.text and it.strange for it in columns)
    for missing in (True, False) if numbers else (False,):
        drawn = draw.rows(columns, count, missing=missing)
        for request in _requests(drawn, columns, names):
            try:
                found = {it.name: it for it in model.predict(model.fit(request), offered)}
            except MemoryError:
                raise
            except Exception as error:  # whatever the model says to rows that it does not take
                problem = problem or first_line(error)
                continue
            return drawn, found, missing
    raise NotCompilable(f"the native model does not take the rows that were drawn to check it: {problem}")


def _requests(drawn: Sequence[Array], columns: Sequence[Column], names: Sequence[str]) -> Iterator[InferRequest]:
    """The ways in which a client may send these rows."""
    tensors = [_tensor(it) for it in drawn]
    if len(columns) == 1 and columns[0].sentences:
        yield InferRequest((Tensor("texts", BYTES, tensors[0]),))
    elif len({it.text for it in columns}) == 1:
        whole = np.column_stack(tensors)
        yield InferRequest((Tensor("rows", DATATYPES[whole.dtype], whole),))
    if names:
        named = zip(names, tensors, strict=True)
        yield InferRequest(tuple(Tensor(name, DATATYPES[it.dtype], it) for name, it in named))


def _tensor(column: Array) -> Array:
    return raw.of_bytes(it.encode() for it in column) if column.dtype == object else column


def _names_classes(model: Model) -> bool:
    """Whether `predict` answers classes, and no numbers that may be a little off."""
    if isinstance(model, SklearnModel) and is_classifier(model.estimator):
        return True
    outputs = {it.name: it.datatype for it in model.signature.outputs}
    return outputs.get("predict", "FP64") not in ("FP32", "FP64")
