from __future__ import annotations

from kring.frameworks import boosting
from kring.testing.framework import FrameworkConformance


class TestBoosting(FrameworkConformance):
    framework = boosting
    builtins = ("lightgbm", "xgboost")
