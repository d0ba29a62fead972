"""What Envoy is started with: the listener, the filters and where the control plane is. The rest comes by xDS.

Pure: settings in, the bootstrap as JSON-ready data out.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

from modelyard.proxy.envoy import scopes

Json: TypeAlias = dict[str, Any]

_TYPE = "type.googleapis.com/"
_FILTERS = _TYPE + "envoy.extensions.filters"
# Bodies up to here can be sent again by a retry; larger ones stream through and are not retried.
REPLAY_BYTES = 1 << 20
MACHINE = "machine"  # in the metadata of the node
IDLE_STREAM = "3600s"
# A gateway that knows no route yet opens no port: refused, clients try another gateway or again; a 404 they believe.
_ADS: Json = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}

# REST without the header names its model by path. Setting the header makes Envoy choose the scope anew.
# What servers offer beside inference (loading, unloading, shared memory) is for their agents, not for callers.
PATH_ROUTING = """
local INFERENCE = {"^/v2/models/", "^/v2/pipelines/", "^/v2/health/", "^/v2/?$", "^/v2/?%?"}
function for_agents_only(path)
  if path:match("^/inference%.GRPCInferenceService/Repository") then return true end
  if not path:match("^/v2") then return false end
  for _, pattern in ipairs(INFERENCE) do
    if path:match(pattern) then return false end
  end
  return true
end
function envoy_on_request(handle)
  local headers = handle:headers()
  local path = headers:get(":path") or ""
  if for_agents_only(path) then
    handle:respond({[":status"] = "404"}, "the gateway serves inference only: the scheduler loads and unloads")
    return
  end
  if headers:get("seldon-model") then return end
  local model = path:match("^/v2/models/([^/?]+)")
  if model then
    headers:add("seldon-model", model)
    return
  end
  local pipeline = path:match("^/v2/pipelines/([^/?]+)")
  if pipeline then
    headers:add("seldon-model", pipeline .. ".pipeline")
    return
  end
  if path:match("^/v2/health/live/?$") or path:match("^/v2/health/ready/?$") then
    handle:respond({[":status"] = "200", ["content-type"] = "application/json"}, "{}")
  end
end
"""

NO_MODEL_NAMED = (
    "the request names no model: send the header seldon-model, or over REST call /v2/models/<name>/infer; "
    "nothing else is served here"
)
NO_ROUTE = (
    "no model %REQ(seldon-model)% is available at this path: see `modelyard get models` for what is loaded; "
    "paths begin with /v2/models/ (REST) or /inference.GRPCInferenceService/ (gRPC)"
)
NOT_ANSWERED = "model %REQ(seldon-model)%: %LOCAL_REPLY_BODY%"


@dataclass(frozen=True, slots=True)
class Settings:
    gateway_id: str
    listen_host: str
    listen_port: int
    xds_host: str
    xds_port: int
    admin_port: int = 0  # on loopback; 0 takes a free one
    machine: str = ""  # whose unix sockets it may use; empty: none


def build(settings: Settings) -> Json:
    return {
        "node": {"id": settings.gateway_id, "cluster": "modelyard", "metadata": {MACHINE: settings.machine}},
        "admin": {"address": _address("127.0.0.1", settings.admin_port)},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "grpc_services": [
                    {
                        "envoy_grpc": {
                            "cluster_name": "xds",
                            "retry_policy": {"retry_back_off": {"base_interval": "0.2s", "max_interval": "2s"}},
                        }
                    }
                ],
            },
            "cds_config": _ADS,
        },
        "static_resources": {"listeners": [_listener(settings)], "clusters": [_xds_cluster(settings)]},
    }


def _address(host: str, port: int) -> Json:
    return {"socket_address": {"address": host, "port_value": port}}


def _xds_cluster(settings: Settings) -> Json:
    return {
        "name": "xds",
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _TYPE + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {
                    "http2_protocol_options": {"connection_keepalive": {"interval": "10s", "timeout": "5s"}}
                },
            }
        },
        "load_assignment": {
            "cluster_name": "xds",
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": _address(settings.xds_host, settings.xds_port)}}]}
            ],
        },
    }


def _listener(settings: Settings) -> Json:
    return {
        "name": "data",
        "address": _address(settings.listen_host, settings.listen_port),
        "per_connection_buffer_limit_bytes": REPLAY_BYTES,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": _http()}]}
        ],
    }


def _http() -> Json:
    return {
        "@type": _FILTERS + ".network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "data",
        "codec_type": "AUTO",
        "http_protocol_options": {"accept_http_10": True},
        # So that no server reads a path in another way than the gateway does.
        "normalize_path": True,
        "merge_slashes": True,
        "server_header_transformation": "PASS_THROUGH",
        "skip_xff_append": True,
        "use_remote_address": False,
        "always_set_request_id_in_response": True,
        "request_id_extension": {
            "typed_config": {
                "@type": _TYPE + "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig",
                "pack_trace_reason": False,  # a caller's id is passed on as it is
                "use_request_id_for_trace_sampling": False,
            }
        },
        "stream_idle_timeout": IDLE_STREAM,
        "request_headers_timeout": "60s",
        "common_http_protocol_options": {"idle_timeout": IDLE_STREAM},
        "early_header_mutation_extensions": [_strip_internal_headers()],
        "scoped_routes": {
            "name": "models",
            "scope_key_builder": {"fragments": [{"header_value_extractor": {"name": scopes.MODEL_HEADER, "index": 0}}]},
            "rds_config_source": _ADS,
            "scoped_rds": {"scoped_rds_config_source": _ADS},
        },
        "local_reply_config": _local_replies(),
        "http_filters": [
            {
                "name": "envoy.filters.http.lua",
                "typed_config": {
                    "@type": _FILTERS + ".http.lua.v3.Lua",
                    "default_source_code": {"inline_string": PATH_ROUTING},
                },
            },
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": _FILTERS + ".http.router.v3.Router", "suppress_envoy_headers": True},
            },
        ],
    }


def _strip_internal_headers() -> Json:
    """Before routing: what only we may say (the version to serve), and what would change Envoy's own retries."""
    return {
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {
            "@type": _TYPE + "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
            "mutations": [
                {"remove": scopes.INTERNAL_MODEL_HEADER},
                {"remove_on_match": {"key_matcher": {"prefix": "x-modelyard-"}}},
                {"remove_on_match": {"key_matcher": {"prefix": "x-envoy-"}}},
            ],
        },
    }


def _local_replies() -> Json:
    """Envoy's own answers: a JSON body with "error" for REST, a plain sentence as status message for gRPC."""
    grpc = {"header_filter": {"header": {"name": "content-type", "string_match": {"prefix": "application/grpc"}}}}
    unrouted = {"response_flag_filter": {"flags": ["NR"]}}
    named = {"header_filter": {"header": {"name": scopes.MODEL_HEADER, "present_match": True}}}
    answers: tuple[tuple[list[Json], str], ...] = (
        ([unrouted, named], NO_ROUTE),
        ([unrouted], NO_MODEL_NAMED),
        ([named], NOT_ANSWERED),
        ([], "%LOCAL_REPLY_BODY%"),
    )
    healthy = {
        "status_code_filter": {
            "comparison": {"op": "EQ", "value": {"default_value": 200, "runtime_key": "modelyard.healthy"}}
        }
    }
    as_it_is = {"text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"}, "content_type": "application/json"}
    mappers = [{"filter": healthy, "body_format_override": as_it_is}]
    for conditions, sentence in answers:
        mappers.append({"filter": _all([grpc, *conditions]), "body_format_override": _text(sentence)})
        if conditions:
            mappers.append({"filter": _all(conditions), "body_format_override": _json(sentence)})
    return {"mappers": mappers, "body_format": _json("%LOCAL_REPLY_BODY%")}


def _all(conditions: list[Json]) -> Json:
    return conditions[0] if len(conditions) == 1 else {"and_filter": {"filters": conditions}}


def _text(sentence: str) -> Json:
    return {"text_format_source": {"inline_string": sentence}, "content_type": "text/plain"}


def _json(sentence: str) -> Json:
    return {"json_format": {"error": sentence}}
