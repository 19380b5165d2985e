"""Starting and stopping: nothing that is down at the start keeps the app from starting; readiness says what is missing."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator

from fastapi import FastAPI

from churn.io.predictions.prediction_log import PredictionLog
from serving import metrics
from serving.champion.keeper import ChampionKeeper
from serving.features.breaker import Breaker
from serving.features.online_store import open_reader
from serving.features.store_check import StoreCheck
from serving.group_commit import GroupCommit
from serving.last_check import LastCheck
from serving.service import PredictionService
from serving.settings import Settings


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Build the parts, start the background work, and end both."""
    settings: Settings = app.state.settings
    parameters = settings.parameters
    metrics.forget_dead_workers()
    features = open_reader(settings.feast_file)
    breaker = Breaker(parameters.feature_timeout, parameters.breaker_failures, parameters.breaker_rest)
    store = StoreCheck(features, breaker)
    keeper = ChampionKeeper(settings, store.missing)
    log = GroupCommit(PredictionLog(settings.log_url, parameters.prediction_log.timeout), parameters.prediction_log)
    state = app.state
    state.keeper, state.breaker, state.store, state.log = keeper, breaker, store, log
    state.last_check = LastCheck(settings.log_url)
    state.service = PredictionService(settings, features, breaker, keeper, log)
    jobs = (keeper.watch(), store.watch(keeper.names), _freeze_what_stays(store), log.watch())
    work = [asyncio.create_task(job) for job in jobs]
    try:
        yield
    finally:
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        if state.page is not None:
            await state.page.close()
        await log.close()
        await features.close()


async def _freeze_what_stays(store: StoreCheck) -> None:
    """What is there once the store has answered stays: the collector need not walk it again and again."""
    await store.warm.wait()
    gc.freeze()
