"""Which worker holds which model; and what happens when one ends.

A model that was running when its worker ended may be why: it is started again in a worker of its own. The others of the
shared worker get a new one. What does not stay up is tried again after longer and longer waits, and then given up.
"""

import asyncio
import itertools
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from modelyard.kit import backoff, clock
from modelyard.kit.errors import ModelyardError
from modelyard.kit.tasks import TaskSet
from modelyard.runtime import memory
from modelyard.runtime.errors import WorkerLost
from modelyard.runtime.formats.load import LoadedModel, Options
from modelyard.runtime.workers import placing
from modelyard.runtime.workers.away import AwayModel
from modelyard.runtime.workers.link import Link
from modelyard.runtime.workers.nurse import Nurse
from modelyard.runtime.workers.orders import Load, Unload
from modelyard.runtime.workers.placing import Place
from modelyard.runtime.workers.reports import Done, Loaded
from modelyard.wire.oip.loading import LoadOrder

log = logging.getLogger(__name__)

RESTARTS = 6  # in a row; who has stayed up for STEADY_SECONDS begins anew
STEADY_SECONDS = 60.0
FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS = 0.1, 10.0
MEASURE_EVERY_SECONDS = 15.0

_AGAIN = " and is being started again"


@dataclass(slots=True, eq=False)
class _Home:
    """A worker. `coming`: loads that run in it; `closing`: we have done with it; `stuck`: a load in it was given up
    and may go on for ever, so that no other gets its turn."""

    link: Link
    shared: bool
    models: set[AwayModel] = field(default_factory=set)
    coming: int = 0
    closing: bool = False
    stuck: bool = False


class Keeper:
    def __init__(self, options: Options, nurse: Nurse) -> None:
        self._options = options
        self._nurse = nurse
        self._homes: set[_Home] = set()
        self._opening = asyncio.Lock()
        self._keys = itertools.count(1)
        self._tasks = TaskSet()
        self._measuring: asyncio.Task[NoReturn] | None = None

    async def load(self, folder: Path, order: LoadOrder, place: Place) -> LoadedModel:
        """Raises as `formats.load.load` does, and `WorkerLost` when its worker ends twice."""
        model = AwayModel(folder, order, next(self._keys), self._release)
        loaded = await self._settle(model, shared=place is Place.SHARED)
        return LoadedModel(
            loaded.name,
            loaded.version,
            model,
            loaded.batching,
            loaded.memory_bytes,
            loaded.note,
            loaded.bounds,
            elsewhere=model,
            example=loaded.example,
        )

    async def close(self) -> None:
        for home in self._homes:
            home.closing = True
        await self._tasks.cancel()
        for home in list(self._homes):
            home.link.close()
        self._nurse.close()

    async def _settle(self, model: AwayModel, *, shared: bool) -> Loaded:
        """Load it, if need be in a worker of its own after all."""
        if shared:
            home = await self._shared()
            try:
                loaded = await self._load_into(home, model)
            except WorkerLost as error:
                log.warning("the shared worker ended while it loaded %s (%s); it gets its own", model.name, error)
            except BaseException:
                await self._tidy(home)
                raise
            else:
                if not placing.should_move(loaded.foreign, loaded.memory_bytes):
                    return loaded
                log.info("%s gets a worker of its own: %s", model.name, loaded.foreign or "it is large")
                await self._leave(home, model)
        home = await self._open(shared=False)
        try:
            return await self._load_into(home, model)
        except BaseException:
            home.closing = True
            self._tasks.start(home.link.end(), name=f"end the worker of {model.name}")
            raise

    async def _load_into(self, home: _Home, model: AwayModel) -> Loaded:
        home.coming += 1
        try:
            loaded = await home.link.ask(
                lambda number: Load(
                    number, model.key, model.folder, self._options, model.order, quietly=not home.shared
                ),
                Loaded,
            )
        except WorkerLost:
            how = await home.link.how_it_ended()
            raise WorkerLost(f"the process that loaded '{model.name}' ended ({how})") from None
        except asyncio.CancelledError:
            home.stuck = True
            if home.link.alive:
                home.link.tell(lambda number: Unload(number, model.key), lambda _: None)
            raise
        finally:
            home.coming -= 1
        home.models.add(model)
        model.settle_in(home.link, loaded, clock.now())
        if not home.shared:
            model.measured(await self._private_bytes(home))
        return loaded

    async def _shared(self) -> _Home:
        async with self._opening:
            for home in self._homes:
                if home.shared and home.link.alive and not home.closing and not home.stuck:
                    return home
            return await self._open(shared=True)

    async def _open(self, *, shared: bool) -> _Home:
        home = _Home(await Link.open(await self._nurse.fork()), shared)
        self._homes.add(home)
        self._tasks.start(self._watch(home), name=f"watch worker {home.link.pid}")
        if self._measuring is None:
            self._measuring = self._tasks.start(self._measure(), name="measure workers")
        return home

    async def _leave(self, home: _Home, model: AwayModel) -> None:
        home.models.discard(model)
        if not await self._tidy(home) and home.link.alive:
            await home.link.ask(lambda number: Unload(number, model.key), Done)

    async def _tidy(self, home: _Home) -> bool:
        """End a worker that holds nothing."""
        if home.models or home.coming:
            return False
        home.closing = True
        await home.link.end()
        return True

    async def _release(self, model: AwayModel) -> None:
        for home in list(self._homes):
            if model in home.models:
                await self._leave(home, model)

    async def _watch(self, home: _Home) -> None:
        await asyncio.wait([home.link.lost])
        self._homes.discard(home)
        if home.closing:
            return
        loading = home.coming > 0  # then the load is to blame, and not who was running beside it
        how = await home.link.how_it_ended()
        names = ", ".join(sorted(it.name for it in home.models)) or "no model"
        log.warning("worker %d, which held %s, ended: %s", home.link.pid, names, how)
        for model in home.models:
            model.link = None
            model.trouble = f"its process ended ({how}){_AGAIN}"
            if clock.now() - model.settled_at > STEADY_SECONDS:
                model.restarts = 0
        alone = {it for it in home.models if not home.shared or (it.suspect and not loading)}
        for model in alone:
            self._tasks.start(self._restart(model), name=f"restart {model.name}")
        if neighbours := home.models - alone:
            self._tasks.start(self._restore(neighbours), name="restart the shared worker")

    async def _restart(self, model: AwayModel) -> None:
        """In a worker of its own, again and again."""
        for wait in backoff.delays(FIRST_WAIT_SECONDS * 2**model.restarts, MOST_WAIT_SECONDS):
            if self._gives_up(model):
                return
            if model.restarts:
                await asyncio.sleep(wait)
            model.restarts += 1
            if await self._settled_again(model, shared=False):
                return

    async def _restore(self, models: set[AwayModel]) -> None:
        """In a new shared worker, one after another, as it has to answer too."""
        if before := max(it.restarts for it in models):
            await asyncio.sleep(next(backoff.delays(FIRST_WAIT_SECONDS * 2**before, MOST_WAIT_SECONDS)))
        for model in models:
            if self._gives_up(model):
                continue
            model.restarts += 1
            if not await self._settled_again(model, shared=True):
                self._tasks.start(self._restart(model), name=f"restart {model.name}")

    def _gives_up(self, model: AwayModel) -> bool:
        if model.restarts < RESTARTS:
            return False
        why = model.trouble.removesuffix(_AGAIN)
        model.trouble = f"{why}; it was started again {RESTARTS} times and is given up: load it anew"
        log.error("%s is given up: %s", model.name, model.trouble)
        return True

    async def _settled_again(self, model: AwayModel, *, shared: bool) -> bool:
        if model.released:
            return True
        try:
            await self._settle(model, shared=shared)
        except ModelyardError as error:
            log.warning("%s cannot be started again: %s", model.name, error)
            model.trouble = f"it cannot be started again: {error}"
            return False
        log.info("%s was started again", model.name)
        if model.released:  # while that went on
            await self._release(model)  # type: ignore[unreachable]
        return True

    async def _private_bytes(self, home: _Home) -> int:
        return await asyncio.get_running_loop().run_in_executor(None, memory.private_bytes, home.link.pid)

    async def _measure(self) -> NoReturn:
        """A model may take more when it is used than when it was loaded; whose it is shows where it lives alone."""
        while True:
            await asyncio.sleep(MEASURE_EVERY_SECONDS)
            for home in [it for it in self._homes if not it.shared]:
                private = await self._private_bytes(home)
                for model in home.models:
                    model.measured(private)
