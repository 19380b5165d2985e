"""Kedro's settings for this project."""

from omegaconf.resolvers import oc

from churn.config import rooted
from churn.config_loader import ReadableConfigLoader
from churn.hooks import ProjectHooks

HOOKS = (ProjectHooks(),)
CONFIG_LOADER_CLASS = ReadableConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "custom_resolvers": {"oc.env": oc.env, "rooted": rooted},
    "config_patterns": {"mlflow": ["mlflow*", "mlflow*/**", "**/mlflow*"]},
}
