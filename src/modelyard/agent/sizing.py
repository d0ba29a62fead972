"""What the server measures of its models, and what is too large to stay. Pure."""

from modelyard.agent.assignments import Entry
from modelyard.agent.messages import Figure, Measured
from modelyard.agent.phases import Phase
from modelyard.agent.state import State
from modelyard.domain.agent_protocol import ModelEventKind
from modelyard.kit.sizes import quantity

# Figures waver from one look to the next: a new one counts when it differs by more than one part in so many.
MEASURE_PARTS = 20


def measured(state: State, event: Measured) -> None:
    for version, figure in event.figures.items():
        entry = state.entries.get(version)
        if entry is None or entry.phase is not Phase.LOADED or entry.changed_at >= event.asked_at:
            continue
        take_figure(state, entry, figure)
        if state.ledger.too_large(version):
            _refuse_loaded(state, entry, Measured)


def take_figure(state: State, entry: Entry, figure: Figure) -> None:
    if figure.note != entry.note:
        entry.note = figure.note
        state.assignments.changed.add(entry.model_version.id)
    if figure.memory_bytes is None:
        return
    now, before = max(figure.memory_bytes, state.least_measured_bytes), entry.measured_bytes
    if before is None or abs(now - before) * MEASURE_PARTS > before:
        state.assignments.measure(entry, now)
        state.effects.append(state.saved(entry))


def is_loaded(state: State, entry: Entry, cause: type) -> None:
    """The server holds it. What is too large for the replica even by itself does not stay."""
    if state.ledger.too_large(entry.model_version.id):
        _refuse_loaded(state, entry, cause)
        return
    state.move(entry, Phase.LOADED, cause)
    state.answer(entry.model_version.id, ModelEventKind.LOADED)


def _refuse_loaded(state: State, entry: Entry, cause: type) -> None:
    """Who ordered it hears now that it cannot stay; its bytes count until the server has given them back."""
    version = entry.model_version.id
    size, memory = state.ledger.accounted_bytes(version), state.ledger.memory_bytes
    against = "" if entry.measured_bytes is None else f" as measured ({state.declared(entry)} declared)"
    sentence = (
        f"{version} takes {quantity(size)} of memory{against}; "
        f"{state.replica} has {quantity(memory)} in all, so it is unloaded again"
    )
    entry.attempts = 0
    state.move(entry, Phase.LEAVING, cause)
    state.answer(version, ModelEventKind.LOAD_FAIL_MEMORY, sentence)
    entry.stray = True
