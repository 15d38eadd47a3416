"""The figure of the chapter `own_data`."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from errref.experiments.own_data import FOLDS, configurations, differences
from errref.figures import COLOURS
from errref.records import Row, numbers_of
from errref.statistics import corrected_interval


def gains(rows: Sequence[Row]) -> Figure:
    """What reflection adds to the score: every fold as a dot, the mean with its corrected interval on top."""
    figure, ax = plt.subplots(figsize=(5.6, 4.4))
    for place, config in enumerate(configurations()):
        values = differences(numbers_of(rows, **config))
        mean, low, high = corrected_interval(values, test_share=1 / FOLDS)
        ax.plot(values, np.full(len(values), place + 0.2), ".", color=COLOURS["control"], alpha=0.6, markersize=5)
        ax.plot([low, high], [place, place], color=COLOURS["reflection"], linewidth=2)
        ax.plot(mean, place, "o", color=COLOURS["reflection"], markersize=6)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(range(len(configurations())), [f"{c['table']}, {c['model']}" for c in configurations()])
    ax.invert_yaxis()
    ax.set_xlabel("score with reflection - score without")
    return figure
