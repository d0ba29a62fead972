"""What the gateway and the front door are started with alike. Pure."""

from collections.abc import Sequence
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

TYPE = "type.googleapis.com/"
FILTERS = TYPE + "envoy.extensions.filters"
# Who knows no route yet opens no port: refused, clients try another gateway or again; a 404 they believe.
ADS: Json = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
IDLE_STREAM = "3600s"


def told_by(cluster: str, *, most_wait: str) -> Json:
    """Everything comes by one stream from the control plane. `most_wait`: between two tries to reach it."""
    retry = {"retry_back_off": {"base_interval": "0.2s", "max_interval": most_wait}}
    return {
        "ads_config": {
            "api_type": "DELTA_GRPC",
            "transport_api_version": "V3",
            "grpc_services": [{"envoy_grpc": {"cluster_name": cluster, "retry_policy": retry}}],
        },
        "cds_config": ADS,
    }


def control_plane(name: str, address: Json, more: Json) -> Json:
    """The cluster of it, over HTTP/2. `more`: how its address is looked up."""
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    http2 = {"http2_protocol_options": {"connection_keepalive": {"interval": "10s", "timeout": "5s"}}}
    return {
        "name": name,
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {options: {"@type": TYPE + options, "explicit_http_config": http2}},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        **more,
    }


def socket_address(host: str, port: int) -> Json:
    return {"socket_address": {"address": host, "port_value": port}}


def serving(http: Json) -> list[Json]:
    """The filter chains of a listener that serves HTTP."""
    return [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": http}]}]


def http(stat_prefix: str, scope_header: str, more: Json) -> Json:
    """Requests by the scope that a header names. `more`: filters, and what the two do each in their way."""
    return {
        "@type": FILTERS + ".network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": stat_prefix,
        "codec_type": "AUTO",
        # So that no server reads a path in another way than the proxy does.
        "normalize_path": True,
        "merge_slashes": True,
        "server_header_transformation": "PASS_THROUGH",
        "skip_xff_append": True,
        "use_remote_address": False,
        "stream_idle_timeout": IDLE_STREAM,
        "request_headers_timeout": "60s",
        "common_http_protocol_options": {"idle_timeout": IDLE_STREAM},
        "scoped_routes": {
            "name": "models",
            "scope_key_builder": {"fragments": [{"header_value_extractor": {"name": scope_header, "index": 0}}]},
            "rds_config_source": ADS,
            "scoped_rds": {"scoped_rds_config_source": ADS},
        },
        **more,
    }


def strip_internal_headers(*names: str) -> Json:
    """Before anything else: what only we may say (and `names`), and what would change Envoy's own retries."""
    mutation = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    prefixes = ("x-modelyard-", "x-envoy-")
    return {
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {
            "@type": TYPE + mutation,
            "mutations": [
                *({"remove": name} for name in names),
                *({"remove_on_match": {"key_matcher": {"prefix": prefix}}} for prefix in prefixes),
            ],
        },
    }


def local_reply(conditions: Sequence[Json], sentence: str, more: Json) -> list[Json]:
    """Envoy's own answer: for gRPC the sentence as status message, for REST JSON with "error".

    Without conditions for gRPC alone: what REST gets then stands for itself (`ERROR`).
    """
    grpc = {"header_filter": {"header": {"name": "content-type", "string_match": {"prefix": "application/grpc"}}}}
    text = {"text_format_source": {"inline_string": sentence}, "content_type": "text/plain"}
    found: list[Json] = [{"filter": _all([grpc, *conditions]), "body_format_override": text, **more}]
    if conditions:
        error = {"json_format": {"error": sentence}}
        found.append({"filter": _all(conditions), "body_format_override": error, **more})
    return found


AS_IT_IS = "%LOCAL_REPLY_BODY%"
ERROR: Json = {"json_format": {"error": AS_IT_IS}}


def _all(conditions: Sequence[Json]) -> Json:
    return conditions[0] if len(conditions) == 1 else {"and_filter": {"filters": list(conditions)}}
