"""What the front door of an agent is started with: an Envoy before one inference server, told the rest by its agent.

Pure. Its control plane and its admin interface are unix sockets: nobody else on the machine can reach them.
"""

from dataclasses import dataclass

from modelyard.proxy.envoy import bootstrap_parts, door_scopes, scopes
from modelyard.proxy.envoy.bootstrap_parts import FILTERS, TYPE, Json
from modelyard.proxy.envoy.door_scripts import NAMED_IN_MESSAGES, NAMED_OTHERWISE

BUFFER_BYTES = 1 << 20  # what a connection may hold before its sender must wait; also of messages that Lua reads whole
STATS_PREFIX = "door"
# Per model, e.g. `door.requests.model.iris_2`: requests that went to the server, and those of them still there.
REQUESTS, IN_FLIGHT, MODEL_TAG = "requests", "in_flight", "model"

NOT_HERE = (
    "model %REQ(seldon-internal-model)% is not loaded at this server: send the request through the gateway, "
    "or ask for a model that is loaded here"
)
NOT_SERVED = "nothing is served at this path: requests go to /v2/models/<name>/… or /inference.GRPCInferenceService/…"
NOT_REACHED = "model %REQ(seldon-internal-model)%: its inference server does not answer: %LOCAL_REPLY_BODY%"


@dataclass(frozen=True, slots=True)
class Settings:
    """`control`: the agent's socket; `admin`: the door's own, both as paths."""

    door_id: str
    listen_host: str
    http_port: int
    grpc_port: int
    control: str
    admin: str
    hold_seconds: int = 7200  # at most, by a request to a model that is being loaded


def build(settings: Settings) -> Json:
    return {
        "node": {"id": settings.door_id, "cluster": "modelyard"},
        "admin": {"address": {"pipe": {"path": settings.admin, "mode": 0o600}}},
        "dynamic_resources": bootstrap_parts.told_by("agent", most_wait="1s"),
        "static_resources": {"listeners": [_listener(settings)], "clusters": [_agent_cluster(settings)]},
    }


def _agent_cluster(settings: Settings) -> Json:
    return bootstrap_parts.control_plane("agent", {"pipe": {"path": settings.control}}, {"type": "STATIC"})


def _listener(settings: Settings) -> Json:
    http, grpc = (
        bootstrap_parts.socket_address(settings.listen_host, it) for it in (settings.http_port, settings.grpc_port)
    )
    return {
        "name": "door",
        "address": http,
        # Both protocols on both ports: who dials which is their custom, not a rule.
        "additional_addresses": [{"address": grpc}],
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "filter_chains": bootstrap_parts.serving(_http(settings)),
    }


def _http(settings: Settings) -> Json:
    return bootstrap_parts.http(
        STATS_PREFIX,
        scopes.INTERNAL_MODEL_HEADER,
        {
            "generate_request_id": False,
            "preserve_external_request_id": True,
            # The internal model's name stays: here it is what a gateway says.
            "early_header_mutation_extensions": [bootstrap_parts.strip_internal_headers()],
            "local_reply_config": _local_replies(),
            "http_filters": [_lua(), _hold(settings), _router()],
        },
    )


def _lua() -> Json:
    return {
        "name": door_scopes.LUA,
        "typed_config": {
            "@type": FILTERS + ".http.lua.v3.Lua",
            "default_source_code": {"inline_string": NAMED_OTHERWISE},
            "source_codes": {door_scopes.APPEND_NAME: {"inline_string": NAMED_IN_MESSAGES}},
        },
    }


def _hold(settings: Settings) -> Json:
    """Asks the agent, unless the route switches it off: warm routes do. Unrouted requests are not asked about."""
    return {
        "name": door_scopes.HOLD,
        "typed_config": {
            "@type": FILTERS + ".http.ext_authz.v3.ExtAuthz",
            "transport_api_version": "V3",
            "grpc_service": {"envoy_grpc": {"cluster_name": "agent"}, "timeout": f"{settings.hold_seconds}s"},
            "status_on_error": {"code": "ServiceUnavailable"},
        },
    }


def _router() -> Json:
    """Counts what goes to the server, and what has come back: so the agent knows when a model is idle."""
    return {
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": FILTERS + ".http.router.v3.Router",
            "suppress_envoy_headers": True,
            "upstream_log": [_requests(), _in_flight()],
            "upstream_log_options": {"flush_upstream_log_on_upstream_stream": True},
        },
    }


def _requests() -> Json:
    return _stats(["UpstreamPoolReady"], {"counters": [{"stat": _stat(REQUESTS), "value_fixed": 1}]})


def _in_flight() -> Json:
    begun, ended = "UpstreamPoolReady", "UpstreamEnd"
    pair = {"add_log_type": begun, "sub_log_type": ended}
    gauge = {"stat": _stat(IN_FLIGHT), "value_fixed": 1, "add_subtract": pair}
    return _stats([begun, ended], {"gauges": [gauge]})


def _stat(name: str) -> Json:
    return {"name": name, "tags": [{"name": MODEL_TAG, "value_format": f"%REQ({scopes.INTERNAL_MODEL_HEADER})%"}]}


def _stats(when: list[str], what: Json) -> Json:
    config = {
        "@type": TYPE + "envoy.extensions.access_loggers.stats.v3.Config",
        "stats_scope": {"prefix": STATS_PREFIX},
        **what,
    }
    return {
        "name": "envoy.access_loggers.stats",
        "filter": {"log_type_filter": {"types": when}},
        "typed_config": config,
    }


def _local_replies() -> Json:
    """The door's own answers. What never reached the server is marked, so that a gateway tries another replica."""
    marked: Json = {
        "status_code": 503,
        "headers_to_add": [{"header": {"key": scopes.NOT_LOADED_HEADER, "value": "true"}}],
    }
    unrouted = {"response_flag_filter": {"flags": ["NR"]}}
    about_a_model = {"or_filter": {"filters": [_path(door_scopes.REST_MODELS), _path(door_scopes.GRPC_MODELS)]}}
    unreached = {"response_flag_filter": {"flags": ["UF", "UH"]}}
    answers: tuple[tuple[list[Json], str, Json], ...] = (
        ([unrouted, about_a_model], NOT_HERE, marked),
        ([unrouted], NOT_SERVED, {}),
        ([unreached], NOT_REACHED, marked),
        ([], bootstrap_parts.AS_IT_IS, {}),
    )
    mappers = [it for answer in answers for it in bootstrap_parts.local_reply(*answer)]
    return {"mappers": mappers, "body_format": bootstrap_parts.ERROR}


def _path(prefix: str) -> Json:
    return {"header_filter": {"header": {"name": ":path", "string_match": {"prefix": prefix}}}}
