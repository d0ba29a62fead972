"""What Envoy is started with: the listener, the filters and where the control plane is. The rest comes by xDS.

Pure: settings in, the bootstrap as JSON-ready data out.
"""

from dataclasses import dataclass

from modelyard.proxy.envoy import bootstrap_parts, scopes
from modelyard.proxy.envoy.bootstrap_parts import FILTERS, TYPE, Json

# Bodies up to here can be sent again by a retry; larger ones stream through and are not retried.
REPLAY_BYTES = 1 << 20
MACHINE = "machine"  # in the metadata of the node

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
        "admin": {"address": bootstrap_parts.socket_address("127.0.0.1", settings.admin_port)},
        "dynamic_resources": bootstrap_parts.told_by("xds", most_wait="2s"),
        "static_resources": {"listeners": [_listener(settings)], "clusters": [_xds_cluster(settings)]},
    }


def _xds_cluster(settings: Settings) -> Json:
    address = bootstrap_parts.socket_address(settings.xds_host, settings.xds_port)
    return bootstrap_parts.control_plane("xds", address, {"type": "STRICT_DNS", "dns_lookup_family": "V4_PREFERRED"})


def _listener(settings: Settings) -> Json:
    return {
        "name": "data",
        "address": bootstrap_parts.socket_address(settings.listen_host, settings.listen_port),
        "per_connection_buffer_limit_bytes": REPLAY_BYTES,
        "filter_chains": bootstrap_parts.serving(_http()),
    }


def _http() -> Json:
    return bootstrap_parts.http(
        "data",
        scopes.MODEL_HEADER,
        {
            "http_protocol_options": {"accept_http_10": True},
            "always_set_request_id_in_response": True,
            "request_id_extension": {
                "typed_config": {
                    "@type": TYPE + "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig",
                    "pack_trace_reason": False,  # a caller's id is passed on as it is
                    "use_request_id_for_trace_sampling": False,
                }
            },
            # The internal model says which version serves: only a route may.
            "early_header_mutation_extensions": [bootstrap_parts.strip_internal_headers(scopes.INTERNAL_MODEL_HEADER)],
            "local_reply_config": _local_replies(),
            "http_filters": [_lua(), _router()],
        },
    )


def _lua() -> Json:
    return {
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": FILTERS + ".http.lua.v3.Lua",
            "default_source_code": {"inline_string": PATH_ROUTING},
        },
    }


def _router() -> Json:
    return {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": FILTERS + ".http.router.v3.Router", "suppress_envoy_headers": True},
    }


def _local_replies() -> Json:
    """Envoy's own answers: a JSON body with "error" for REST, a plain sentence as status message for gRPC."""
    unrouted = {"response_flag_filter": {"flags": ["NR"]}}
    named = {"header_filter": {"header": {"name": scopes.MODEL_HEADER, "present_match": True}}}
    answers: tuple[tuple[list[Json], str], ...] = (
        ([unrouted, named], NO_ROUTE),
        ([unrouted], NO_MODEL_NAMED),
        ([named], NOT_ANSWERED),
        ([], bootstrap_parts.AS_IT_IS),
    )
    healthy = {
        "status_code_filter": {
            "comparison": {"op": "EQ", "value": {"default_value": 200, "runtime_key": "modelyard.healthy"}}
        }
    }
    as_it_is = {"text_format_source": {"inline_string": bootstrap_parts.AS_IT_IS}, "content_type": "application/json"}
    mappers: list[Json] = [{"filter": healthy, "body_format_override": as_it_is}]
    for conditions, sentence in answers:
        mappers += bootstrap_parts.local_reply(conditions, sentence, {})
    return {"mappers": mappers, "body_format": bootstrap_parts.ERROR}
