"""`modelyard`: the commands, and how each of them ends.

Commands are imported when they are run, so that `modelyard --help` and every single command start quickly.
"""

import errno
import os
import sys
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command

from modelyard.kit.errors import ModelyardError

DEBUG_VARIABLE = "MODELYARD_DEBUG"
INTERRUPTED = 130
PIPE_CLOSED = 141


class Entry(NamedTuple):
    """Where a command is, and its line in the list; a test holds the line to the command's own first sentence."""

    module: str
    function: str
    summary: str


COMMANDS: dict[str, Entry] = {
    "up": Entry(
        "up", "up", "Start a whole system on this machine: scheduler, gateway, and a server with its replicas."
    ),
    "down": Entry("up", "down", "Stop the system on this machine."),
    "apply": Entry("apply", "apply", "Make models and servers what manifests say."),
    "delete": Entry("delete", "delete", "Delete what manifests name, or one model or server."),
    "load": Entry("load", "load", "Load a model without a manifest."),
    "unload": Entry("load", "unload", "Unload a model: delete it with all its versions."),
    "get": Entry("get", "get", "List models, servers or replicas."),
    "describe": Entry("describe", "describe", "Tell all about a model or a server, and what happened to it."),
    "wait": Entry("wait", "wait", "Wait until a model is Available, Unavailable or Deleted."),
    "infer": Entry("infer", "infer", "Send an inference request to a model and print its answer."),
    "status": Entry("status", "status", "Show the parts of the system, their ports and versions."),
    "explain": Entry("explain", "explain", "Say why a model is where it is, or nowhere."),
    "version": Entry("version", "version", "Print the version."),
}

_EPILOG = """\b
Exit codes:
  0  done
  1  something unexpected
  2  the input cannot be right
  3  no such model, server or file
  4  refused as things stand
  5  a part cannot be reached
  6  it did not happen in time
  7  not supported yet
  130  interrupted
  141  whoever read the output went away

\b
Which system: --state-dir DIR or MODELYARD_STATE_DIR; by default the one that runs for this user.
A remote one: --scheduler HOST:PORT or MODELYARD_SCHEDULER, --gateway HOST:PORT or MODELYARD_GATEWAY.

\b
Example:
  modelyard up --detach
  modelyard load iris ./examples/models/iris-onnx --requires onnx
  modelyard wait model/iris --for Available
  modelyard infer iris -f request.json
"""

_USAGE_ERRORS: tuple[type[Exception], ...] = tuple(
    it for it in typer.BadParameter.__mro__ if it.__name__ == "ClickException" and issubclass(it, Exception)
)

_FOR_TYPER: tuple[type[BaseException], ...] = (SystemExit, typer.Exit, typer.Abort, *_USAGE_ERRORS)


class LazyGroup(TyperGroup):
    """Commands by name, imported on demand; in the list of commands they stand with their summaries only."""

    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  # the signature is click's
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        if cmd_name not in self.commands:
            if self._listing:
                return _command(cmd_name, lambda: None, entry.summary)
            function = getattr(import_module(f"modelyard.cli.{entry.module}"), entry.function)
            self.commands[cmd_name] = _command(cmd_name, function, None)
        return self.commands[cmd_name]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        self._listing = True
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self._listing = False

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except _USAGE_ERRORS as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            if near and hasattr(error, "message") and "Did you mean" not in error.message:
                error.message = f"{error.message.rstrip('.')}. Did you mean {near[0]!r}?"
            raise

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except ModelyardError as error:
            raise SystemExit(_fail(str(error), error.exit_code)) from error
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None
        except BrokenPipeError:
            _forget_output()
            raise SystemExit(PIPE_CLOSED) from None
        except _FOR_TYPER:
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                _forget_output()
                raise SystemExit(PIPE_CLOSED) from None
            if os.environ.get(DEBUG_VARIABLE):
                raise
            what = f"unexpected: {type(error).__name__}: {' '.join(str(error).split())}"
            raise SystemExit(_fail(f"{what}; set {DEBUG_VARIABLE}=1 for the traceback", 1)) from error


def _command(name: str, function: Any, summary: str | None) -> Any:
    it = typer.Typer(add_completion=False, rich_markup_mode=None)
    it.command(name, help=summary)(function)
    return get_command(it)


def _fail(sentence: str, code: int) -> int:
    try:
        sys.stderr.write(f"error: {sentence}\n")
    except BrokenPipeError:
        pass
    return code


def _forget_output() -> None:
    """Nobody reads on: give the interpreter nothing to flush, and so nothing to complain about."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


app = typer.Typer(
    cls=LazyGroup,
    name="modelyard",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root() -> None:
    """Many models, few servers: load models, route requests to them, and hear why when it cannot be done."""


def main() -> None:
    """The entry point of the `modelyard` script."""
    app(prog_name="modelyard")


if __name__ == "__main__":
    main()
