"""Starting and stopping: nothing that is down at the start keeps the app from starting; readiness says what is missing."""

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI

from churn.io.predictions.prediction_log import PredictionLog
from serving.champion.keeper import ChampionKeeper
from serving.features.breaker import Breaker, DownError
from serving.features.reader import FeatureReader, MissingFeaturesError, open_reader
from serving.group_commit import GroupCommit, LogDownError
from serving.last_check import LastCheck
from serving.service import PredictionService
from serving.settings import Settings

_log = logging.getLogger(__name__)
_WARM_UP_SECONDS = 1.0


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Build the parts, start the background work, and end both."""
    settings: Settings = app.state.settings
    parameters = settings.parameters
    features = open_reader(settings.feast_file)
    breaker = Breaker(parameters.feature_timeout, parameters.breaker_failures, parameters.breaker_rest)
    keeper = ChampionKeeper(settings)
    log = GroupCommit(PredictionLog(settings.log_url), parameters.prediction_log)
    state = app.state
    state.keeper, state.breaker, state.log = keeper, breaker, log
    state.warm, state.store_problem, state.example_customer = asyncio.Event(), "not asked yet", None
    state.last_check = LastCheck(settings.log_url)
    state.service = PredictionService(settings, features, breaker, keeper, log)
    work = [asyncio.create_task(job) for job in (keeper.watch(), _warm_up(state, features, breaker), _open_log(log))]
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


async def _warm_up(state: Any, features: FeatureReader, breaker: Breaker) -> None:
    """Ask the feature store until it answers."""
    while True:
        try:
            state.example_customer = await breaker.call(features.example, (MissingFeaturesError,))
            state.store_problem = None
            state.warm.set()
            gc.freeze()  # what is there by now stays: the collector need not walk it again and again
            return
        except MissingFeaturesError as error:
            state.store_problem = f"{error}; run `kedro run --pipelines feature_store`"
        except DownError as error:
            state.store_problem = f"the feature store does not answer: {error.reason}"
        await asyncio.sleep(_WARM_UP_SECONDS)


async def _open_log(log: GroupCommit) -> None:
    try:
        await log.open()
    except LogDownError as error:
        _log.error("The prediction log cannot be opened: %s", error)
