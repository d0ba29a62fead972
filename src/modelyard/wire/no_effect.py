"""Fields of a model that are kept, compared and sent on, but change nothing yet: said, not hidden."""

from modelyard.domain.model import Model
from modelyard.wire.models import encode_model

NOT_YET = "has no effect yet"


def without_effect(model: Model) -> tuple[str, ...]:
    """One sentence for each such field that the model has, named as in a manifest."""
    message = encode_model(model)
    spec, deployment = message.modelSpec, message.deploymentSpec
    present = {
        "spec.explainer": spec.HasField("explainer"),
        "spec.llm": spec.HasField("llm"),
        "spec.logger": deployment.logPayloads,
        "spec.dataflow.cleanTopicsOnDelete": message.dataflowSpec.cleanTopicsOnDelete,
        "streamSpec": message.HasField("streamSpec"),
        "spec.maxReplicas": model.replicas.maximum is not None,
    }
    return tuple(f"{name} {NOT_YET}" for name, given in present.items() if given)
