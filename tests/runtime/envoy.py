"""An Envoy that does one thing: h2c from a client becomes HTTP/1.1 with trailers at a runtime's unix socket or port."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelyard.proxy.envoy import process

_TYPE = "type.googleapis.com/envoy."
_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def _bootstrap(port: int, address: dict[str, Any]) -> dict[str, Any]:
    manager = {
        "@type": f"{_TYPE}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "x",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "x",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "x", "timeout": "0s"}}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPE}extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    http1 = {
        "@type": f"{_TYPE}extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http_protocol_options": {"enable_trailers": True}},
    }
    endpoint = {"endpoint": {"address": address}}
    return {
        "static_resources": {
            "listeners": [
                {
                    "name": "x",
                    "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
                    "filter_chains": [
                        {
                            "filters": [
                                {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
                            ]
                        }
                    ],
                }
            ],
            "clusters": [
                {
                    "name": "x",
                    "type": "STATIC",
                    "typed_extension_protocol_options": {_OPTIONS: http1},
                    "load_assignment": {"cluster_name": "x", "endpoints": [{"lb_endpoints": [endpoint]}]},
                }
            ],
        }
    }


@contextmanager
def in_front_of(socket_path: Path, folder: Path) -> Iterator[str]:
    """Its HOST:PORT."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    file = folder / "envoy.json"
    file.write_text(json.dumps(_bootstrap(port, {"pipe": {"path": str(socket_path)}})))
    command = [str(process.binary()), "-c", str(file), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
    running = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(3000):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.01)
        yield f"127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait()
