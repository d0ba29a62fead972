"""Run seeds of the simulated cluster: `python -m modelyard.simulation --seed 17 --verbose`."""

import argparse
import sys
import traceback

from modelyard.simulation.run import ACTIONS, is_calm, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m modelyard.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="one seed; without it seeds 0 up to --seeds")
    parser.add_argument("--seeds", type=int, default=200, help="how many (default: %(default)s)")
    parser.add_argument(
        "--actions", type=int, default=ACTIONS, help="things that happen in a run (default: %(default)s)"
    )
    parser.add_argument("--verbose", action="store_true", help="print everything that happens, with its time")
    options = parser.parse_args()
    failed = 0
    seeds = range(options.seeds) if options.seed is None else [options.seed]

    def log(time: float, said: str) -> None:
        if options.verbose:
            print(f"{time - 1000:9.3f}  {said}")  # noqa: T201

    for seed in seeds:
        try:
            run(seed, actions=options.actions, log=log)
        except Exception:
            failed += 1
            traceback.print_exc(limit=-4)
            print(f"seed {seed} failed; replay: {replay(seed, options.actions)} --verbose")  # noqa: T201
    kind = "calm" if options.seed is not None and is_calm(options.seed) else "mixed"
    print(f"{len(seeds) - failed} passed, {failed} failed ({kind}, {options.actions} actions each)")  # noqa: T201
    return 1 if failed else 0


def replay(seed: int, actions: int = ACTIONS) -> str:
    """The command that runs it again."""
    return f"python -m modelyard.simulation --seed {seed} --actions {actions}"


if __name__ == "__main__":
    sys.exit(main())
