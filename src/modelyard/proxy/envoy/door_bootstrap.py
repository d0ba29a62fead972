"""What the front door of an agent is started with: an Envoy before one inference server, told the rest by its agent.

Pure. Its control plane and its admin interface are unix sockets: nobody else on the machine can reach them.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

from modelyard.proxy.envoy import door_scopes, scopes
from modelyard.proxy.envoy.door_scripts import NAMED_IN_MESSAGES, NAMED_OTHERWISE

Json: TypeAlias = dict[str, Any]

_TYPE = "type.googleapis.com/"
_FILTERS = _TYPE + "envoy.extensions.filters"
_ADS: Json = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
BUFFER_BYTES = 1 << 20  # what a connection may hold before its sender must wait; also of messages that Lua reads whole
IDLE_STREAM = "3600s"
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
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "grpc_services": [
                    {
                        "envoy_grpc": {
                            "cluster_name": "agent",
                            "retry_policy": {"retry_back_off": {"base_interval": "0.2s", "max_interval": "1s"}},
                        }
                    }
                ],
            },
            "cds_config": _ADS,
        },
        "static_resources": {"listeners": [_listener(settings)], "clusters": [_agent_cluster(settings)]},
    }


def _agent_cluster(settings: Settings) -> Json:
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    endpoint = {"endpoint": {"address": {"pipe": {"path": settings.control}}}}
    return {
        "name": "agent",
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {
            options: {
                "@type": _TYPE + options,
                "explicit_http_config": {
                    "http2_protocol_options": {"connection_keepalive": {"interval": "10s", "timeout": "5s"}}
                },
            }
        },
        "load_assignment": {"cluster_name": "agent", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _listener(settings: Settings) -> Json:
    def address(port: int) -> Json:
        return {"socket_address": {"address": settings.listen_host, "port_value": port}}

    return {
        "name": "door",
        "address": address(settings.http_port),
        # Both protocols on both ports: who dials which is their custom, not a rule.
        "additional_addresses": [{"address": address(settings.grpc_port)}],
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": _http(settings)}]}
        ],
    }


def _http(settings: Settings) -> Json:
    return {
        "@type": _FILTERS + ".network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": STATS_PREFIX,
        "codec_type": "AUTO",
        "normalize_path": True,
        "merge_slashes": True,
        "server_header_transformation": "PASS_THROUGH",
        "skip_xff_append": True,
        "use_remote_address": False,
        "generate_request_id": False,
        "preserve_external_request_id": True,
        "stream_idle_timeout": IDLE_STREAM,
        "request_headers_timeout": "60s",
        "common_http_protocol_options": {"idle_timeout": IDLE_STREAM},
        "early_header_mutation_extensions": [_strip_internal_headers()],
        "scoped_routes": {
            "name": "models",
            "scope_key_builder": {
                "fragments": [{"header_value_extractor": {"name": scopes.INTERNAL_MODEL_HEADER, "index": 0}}]
            },
            "rds_config_source": _ADS,
            "scoped_rds": {"scoped_rds_config_source": _ADS},
        },
        "local_reply_config": _local_replies(),
        "http_filters": [_lua(), _hold(settings), _router()],
    }


def _lua() -> Json:
    return {
        "name": door_scopes.LUA,
        "typed_config": {
            "@type": _FILTERS + ".http.lua.v3.Lua",
            "default_source_code": {"inline_string": NAMED_OTHERWISE},
            "source_codes": {door_scopes.APPEND_NAME: {"inline_string": NAMED_IN_MESSAGES}},
        },
    }


def _hold(settings: Settings) -> Json:
    """Asks the agent, unless the route switches it off: warm routes do. Unrouted requests are not asked about."""
    return {
        "name": door_scopes.HOLD,
        "typed_config": {
            "@type": _FILTERS + ".http.ext_authz.v3.ExtAuthz",
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
            "@type": _FILTERS + ".http.router.v3.Router",
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
        "@type": _TYPE + "envoy.extensions.access_loggers.stats.v3.Config",
        "stats_scope": {"prefix": STATS_PREFIX},
        **what,
    }
    return {
        "name": "envoy.access_loggers.stats",
        "filter": {"log_type_filter": {"types": when}},
        "typed_config": config,
    }


def _strip_internal_headers() -> Json:
    """Before anything else. The internal model's name stays: here it is what a gateway says."""
    return {
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {
            "@type": _TYPE + "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
            "mutations": [
                {"remove_on_match": {"key_matcher": {"prefix": "x-modelyard-"}}},
                {"remove_on_match": {"key_matcher": {"prefix": "x-envoy-"}}},
            ],
        },
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
        ([], "%LOCAL_REPLY_BODY%", {}),
    )
    grpc = {"header_filter": {"header": {"name": "content-type", "string_match": {"prefix": "application/grpc"}}}}
    mappers: list[Json] = []
    for conditions, sentence, more in answers:
        text = {"text_format_source": {"inline_string": sentence}, "content_type": "text/plain"}
        mappers.append({"filter": _all([grpc, *conditions]), "body_format_override": text, **more})
        if conditions:
            mappers.append(
                {"filter": _all(conditions), "body_format_override": {"json_format": {"error": sentence}}, **more}
            )
    return {"mappers": mappers, "body_format": {"json_format": {"error": "%LOCAL_REPLY_BODY%"}}}


def _path(prefix: str) -> Json:
    return {"header_filter": {"header": {"name": ":path", "string_match": {"prefix": prefix}}}}


def _all(conditions: list[Json]) -> Json:
    return conditions[0] if len(conditions) == 1 else {"and_filter": {"filters": conditions}}
