"""A route as an Envoy scope: found by one hash lookup on the `seldon-model` header, whatever the number of models.

Inside: sticky routes first (`x-seldon-route` names a variant), then the share-out among all variants; each once for
REST (prefix /v2) and once for gRPC.
"""

from collections.abc import Iterable, Iterator, Sequence, Set

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2, scoped_route_pb2
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2
from envoy.type.matcher.v3 import string_pb2
from google.protobuf import any_pb2, duration_pb2, wrappers_pb2

from modelyard.proxy.desired import Route, Variant
from modelyard.proxy.envoy import clusters
from modelyard.proxy.envoy.resource import SCOPE_TYPE, Resource, resource

MODEL_HEADER = "seldon-model"
INTERNAL_MODEL_HEADER = "seldon-internal-model"
ROUTE_HEADER = "x-seldon-route"
NOT_LOADED_HEADER = "x-modelyard-not-loaded"
PREFIXES = ((clusters.GRPC, "/inference.GRPCInferenceService"), (clusters.HTTP, "/v2"))
RETRIES = 4


def build(model: str, route: Route) -> Resource:
    host = route_components_pb2.VirtualHost(
        name=model,
        domains=["*"],
        routes=list(_routes(route)),
        retry_policy=_RETRY_POLICY,
        response_headers_to_remove=[NOT_LOADED_HEADER],
    )
    named = {clusters.name(variant.replica_set, protocol) for variant in route.variants for protocol, _ in PREFIXES}
    return scope(host, named)


def scope(host: route_components_pb2.VirtualHost, named: Set[str]) -> Resource:
    """Found by the name of `host`. `named`: the clusters that its routes go to."""
    message = scoped_route_pb2.ScopedRouteConfiguration(
        name=host.name,
        key=scoped_route_pb2.ScopedRouteConfiguration.Key(
            fragments=[scoped_route_pb2.ScopedRouteConfiguration.Key.Fragment(string_key=host.name)]
        ),
        route_configuration=route_pb2.RouteConfiguration(
            name=host.name,
            virtual_hosts=[host],
            # Refused rather than accepted and answered by 503: what Envoy ACKs can be served.
            validate_clusters=wrappers_pb2.BoolValue(value=True),
        ),
    )
    return resource(host.name, SCOPE_TYPE, message, named)


def _routes(route: Route) -> Iterator[route_components_pb2.Route]:
    internal_models = sorted({variant.internal_model for variant in route.variants})
    for protocol, prefix in PREFIXES:
        if len(internal_models) > 1:
            for internal_model in internal_models:
                pinned = [variant for variant in route.variants if variant.internal_model == internal_model]
                yield _route(_match(prefix, sticky=internal_model), pinned, protocol)
        yield _route(_match(prefix), route.variants, protocol)


def _match(prefix: str, *, sticky: str | None = None) -> route_components_pb2.RouteMatch:
    match = route_components_pb2.RouteMatch(prefix=prefix)
    if sticky is not None:
        match.headers.append(
            route_components_pb2.HeaderMatcher(
                name=ROUTE_HEADER, string_match=string_pb2.StringMatcher(contains=f":{sticky}:")
            )
        )
    return match


def _route(
    match: route_components_pb2.RouteMatch, variants: Sequence[Variant], protocol: str
) -> route_components_pb2.Route:
    action = route_components_pb2.RouteAction(timeout=duration_pb2.Duration())  # 0: no limit; streams may be long
    total = sum(variant.weight for variant in variants)
    if len(variants) == 1 or total == 0:
        (variant, *_) = variants
        action.cluster = clusters.name(variant.replica_set, protocol)
        return route_components_pb2.Route(
            match=match,
            route=action,
            request_headers_to_add=[_internal_model(variant)],
            response_headers_to_add=[_answered_by(variant)],
        )
    action.weighted_clusters.clusters.extend(_weighted(variants, protocol))
    return route_components_pb2.Route(match=match, route=action)


def _weighted(
    variants: Iterable[Variant], protocol: str
) -> Iterator[route_components_pb2.WeightedCluster.ClusterWeight]:
    for variant in variants:
        yield route_components_pb2.WeightedCluster.ClusterWeight(
            name=clusters.name(variant.replica_set, protocol),
            weight=wrappers_pb2.UInt32Value(value=variant.weight),
            request_headers_to_add=[_internal_model(variant)],
            response_headers_to_add=[_answered_by(variant)],
        )


def _internal_model(variant: Variant) -> base_pb2.HeaderValueOption:
    return base_pb2.HeaderValueOption(
        header=base_pb2.HeaderValue(key=INTERNAL_MODEL_HEADER, value=variant.internal_model),
        append_action=base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def _answered_by(variant: Variant) -> base_pb2.HeaderValueOption:
    return base_pb2.HeaderValueOption(
        header=base_pb2.HeaderValue(key=ROUTE_HEADER, value=f":{variant.internal_model}:"),
        append_action=base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD,
    )


def _retry_policy() -> route_components_pb2.RetryPolicy:
    """Only what no server began to work on: not connected, refused by HTTP/2, or marked as not loaded there."""
    predicate = any_pb2.Any()
    predicate.Pack(previous_hosts_pb2.PreviousHostsPredicate())
    return route_components_pb2.RetryPolicy(
        retry_on="connect-failure,refused-stream,retriable-headers",
        num_retries=wrappers_pb2.UInt32Value(value=RETRIES),
        retriable_headers=[route_components_pb2.HeaderMatcher(name=NOT_LOADED_HEADER, present_match=True)],
        retry_host_predicate=[
            route_components_pb2.RetryPolicy.RetryHostPredicate(
                name="envoy.retry_host_predicates.previous_hosts", typed_config=predicate
            )
        ],
        host_selection_retry_max_attempts=5,
        retry_back_off=route_components_pb2.RetryPolicy.RetryBackOff(
            base_interval=duration_pb2.Duration(nanos=20_000_000), max_interval=duration_pb2.Duration(nanos=200_000_000)
        ),
    )


_RETRY_POLICY = _retry_policy()
