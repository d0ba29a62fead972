"""A model's route at the front door of an agent, as an Envoy scope: found by the header `seldon-internal-model`.

The door knows one server, and models by the name under which they are loaded there. Whatever name a request has in its
path is replaced by Envoy's own rewriting; names in gRPC messages by Lua (`door_scripts.NAMED_IN_MESSAGES`).
"""

from collections.abc import Iterator
from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.type.matcher.v3 import regex_pb2
from google.protobuf import any_pb2, duration_pb2

from modelyard.proxy.desired import Route
from modelyard.proxy.envoy import clusters
from modelyard.proxy.envoy.door_scripts import NAME_METADATA, SERVER_SCOPE
from modelyard.proxy.envoy.resource import Resource
from modelyard.proxy.envoy.scopes import INTERNAL_MODEL_HEADER, scope

LUA = "envoy.filters.http.lua"
HOLD = "envoy.filters.http.ext_authz"
APPEND_NAME = "append-name"  # in the bootstrap's source codes
MODEL_EXTENSION = "model"  # what a check is told, whatever headers the request has
REST_MODELS = "/v2/models/"
GRPC_MODELS = "/inference.GRPCInferenceService/Model"
# About the server itself: its health and metadata. Loading, unloading and shared memory are its agent's business.
GRPC_SERVER = "/inference.GRPCInferenceService/Server"
REST_SERVER = r"/v2(/|/health/[a-z]+)?"


def build(model: str, route: Route) -> Resource:
    """`route` has one variant: a server, and the model's name there."""
    (variant,) = route.variants
    http, grpc = (clusters.name(variant.replica_set, protocol) for protocol in (clusters.HTTP, clusters.GRPC))
    routes = [] if model == SERVER_SCOPE else list(_model_routes(route, http, grpc))
    host = route_components_pb2.VirtualHost(name=model, domains=["*"], routes=[*routes, *_server_routes(http, grpc)])
    return scope(host, {http, grpc})


def _model_routes(route: Route, http: str, grpc: str) -> Iterator[route_components_pb2.Route]:
    (variant,) = route.variants
    hold = _hold(variant.internal_model) if route.cold else _NO_HOLD
    # By the route and not by the header, which somebody may have sent twice: the first one found the scope.
    name = base_pb2.Metadata()
    name.filter_metadata[LUA][NAME_METADATA] = variant.internal_model
    only = base_pb2.HeaderValueOption(
        header=base_pb2.HeaderValue(key=INTERNAL_MODEL_HEADER, value=variant.internal_model),
        append_action=base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )
    yield route_components_pb2.Route(
        match=route_components_pb2.RouteMatch(prefix=GRPC_MODELS),
        route=_action(grpc),
        metadata=name,
        request_headers_to_add=[only],
        typed_per_filter_config={LUA: _packed(lua_pb2.LuaPerRoute(name=APPEND_NAME)), HOLD: hold},
    )
    action = _action(http)
    action.regex_rewrite.pattern.CopyFrom(regex_pb2.RegexMatcher(regex=f"^{REST_MODELS}[^/]+"))
    action.regex_rewrite.substitution = REST_MODELS + variant.internal_model
    yield route_components_pb2.Route(
        match=route_components_pb2.RouteMatch(prefix=REST_MODELS),
        route=action,
        request_headers_to_add=[only],
        typed_per_filter_config={LUA: _NO_LUA, HOLD: hold},
    )


def _server_routes(http: str, grpc: str) -> Iterator[route_components_pb2.Route]:
    without = {LUA: _NO_LUA, HOLD: _NO_HOLD}
    yield route_components_pb2.Route(
        match=route_components_pb2.RouteMatch(prefix=GRPC_SERVER), route=_action(grpc), typed_per_filter_config=without
    )
    yield route_components_pb2.Route(
        match=route_components_pb2.RouteMatch(safe_regex=regex_pb2.RegexMatcher(regex=REST_SERVER)),
        route=_action(http),
        typed_per_filter_config=without,
    )


def _action(cluster: str) -> route_components_pb2.RouteAction:
    # No limit on time: streams may be long, and who waits for less says so himself.
    return route_components_pb2.RouteAction(cluster=cluster, timeout=duration_pb2.Duration())


def _packed(message: Any) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message, deterministic=True)
    return packed


def _hold(model: str) -> any_pb2.Any:
    """Ask the agent before each request: `door_authority`."""
    settings = ext_authz_pb2.CheckSettings(context_extensions={MODEL_EXTENSION: model})
    return _packed(ext_authz_pb2.ExtAuthzPerRoute(check_settings=settings))


_NO_LUA = _packed(lua_pb2.LuaPerRoute(disabled=True))
_NO_HOLD = _packed(ext_authz_pb2.ExtAuthzPerRoute(disabled=True))
