"""The plots of the evaluation: matplotlib figures, made without pyplot's global state."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churn.core.evaluation import calibration, profit
from churn.core.evaluation.metrics import roc_auc, top_decile_lift

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
COLORS = {"challenger": "#2563eb", "champion": "#0f766e", "baseline": "#d97706"}
GREY, LIGHT, INK = "#94a3b8", "#e2e8f0", "#1e293b"
SHOWN_FEATURES = 15


def confusion_matrix(churned: ArrayLike, probability: ArrayLike, threshold: float) -> "Figure":
    """Customers by outcome and by prediction at the threshold, with the share of each outcome."""
    y, hit = np.asarray(churned, bool), np.asarray(probability, float) >= threshold
    counts = np.array([[np.sum(~y & ~hit), np.sum(~y & hit)], [np.sum(y & ~hit), np.sum(y & hit)]])
    shares = counts / counts.sum(axis=1, keepdims=True)
    figure, axes = _canvas(f"Who is called a churner at threshold {threshold:.3f}", (5.2, 4.4))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(2, 2):
        color = "white" if shares[row, column] > 0.5 else INK  # noqa: PLR2004 - where the blue gets dark
        axes.text(column, row - 0.07, f"{counts[row, column]:,}", ha="center", va="center", color=color, fontsize=17, fontweight="bold")
        axes.text(column, row + 0.17, f"{shares[row, column]:.0%} of the row", ha="center", va="center", color=color, fontsize=9)
    axes.set(xticks=[0, 1], yticks=[0, 1], xticklabels=["not called", "called a churner"], yticklabels=["stayed", "left"])
    axes.set(xlabel="prediction", ylabel="outcome")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def calibration_curve(churned: ArrayLike, probability: ArrayLike) -> "Figure":
    """Churn rate against mean prediction in ten bins of equal count, with the range that noise alone explains."""
    found = calibration.reliability(churned, probability)
    low, high = calibration.noise_band(probability)
    error, floor = calibration.ece(churned, probability), calibration.noise_floor(probability)
    figure, axes = _canvas("Do predicted probabilities come true?")
    top = float(max(found.predicted.max(), found.observed.max(), high.max())) * 1.06
    axes.plot([0, top], [0, top], color=GREY, linewidth=1, linestyle="--", label="perfect")
    axes.vlines(found.predicted, low, high, color=LIGHT, linewidth=9, label="95% range of noise if perfect")
    axes.plot(found.predicted, found.observed, "o-", color=COLORS["challenger"], linewidth=1.5, label="challenger")
    axes.set(xlabel="mean prediction", ylabel="churn rate", xlim=(0, top), ylim=(0, top))
    axes.legend(frameon=False, loc="upper left")
    verdict = "below" if error <= floor else "above"
    note = f"calibration error (ECE) {error:.4f},\n{verdict} its noise floor {floor:.4f}"
    axes.text(0.97, 0.05, note, transform=axes.transAxes, ha="right", multialignment="left", color=INK, fontsize=9)
    return figure


def gain_curve(churned: ArrayLike, models: Mapping[str, ArrayLike]) -> "Figure":
    """Share of all churners reached by contacting the customers with the highest scores, per model (n,)."""
    figure, axes = _canvas("How many churners does a campaign reach?")
    rate = float(np.mean(np.asarray(churned, bool)))
    axes.plot([0, rate, 1], [0, 1, 1], color=GREY, linewidth=1, label="perfect order")
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="by lot")
    for name, probability in reversed(list(models.items())):
        curve = profit.gain_curve(churned, probability)
        label = f"{name}: AUC {roc_auc(churned, probability)[0]:.3f}, lift of the top tenth {top_decile_lift(churned, probability)[0]:.2f}"
        axes.plot(curve.contacted, curve.reached, color=COLORS[name], linewidth=2 if name == "challenger" else 1.3, label=label)
    axes.set(xlabel="share of customers contacted, highest scores first", ylabel="share of churners reached", xlim=(0, 1), ylim=(0, 1.02))
    _percent(axes, "both")
    axes.legend(frameon=False, loc="lower right", fontsize=8.5)
    return figure


def profit_curve(churned: ArrayLike, models: Mapping[str, ArrayLike], threshold: float, costs: profit.Costs) -> "Figure":
    """Expected profit per customer by the share contacted, per model (n,), with the challenger's threshold marked."""
    figure, axes = _canvas("What does a campaign earn?")
    for name, probability in reversed(list(models.items())):
        curve, gain = profit.profit_curve(churned, probability, costs), profit.gain_curve(churned, probability)
        axes.plot(gain.contacted, curve.profit, color=COLORS[name], linewidth=2 if name == "challenger" else 1.3, label=name)
    scores = np.asarray(models["challenger"], float)
    share, earned = float(np.mean(scores >= threshold)), profit.profit(churned, scores, threshold, costs)
    best = profit.profit_curve(churned, scores, costs).best[1]
    axes.plot([share], [earned], "o", color=COLORS["challenger"], markersize=8)
    axes.annotate(
        f"threshold {threshold:.3f}: {earned:.2f}\n(best in hindsight {best:.2f})",
        (share, earned), xytext=(10, -58), textcoords="offset points", color=INK, fontsize=9, arrowprops={"arrowstyle": "-", "color": GREY},
    )  # fmt: skip
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set(xlabel="share of customers contacted, highest scores first", ylabel="expected profit per customer", xlim=(0, 1))
    _percent(axes, "x")
    axes.legend(frameon=False, loc="lower center")
    return figure


def shap_summary(contributions: Floats, codes: NDArray[np.float32], labels: list[str]) -> "Figure":
    """Beeswarm of exact TreeSHAP contributions (n, p) in log-odds, coloured by the encoded values (n, p)."""
    import shap
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 1.2 + 0.36 * min(SHOWN_FEATURES, len(labels))), layout="constrained")
    axes = figure.add_subplot()
    shown = np.where(np.isnan(codes).all(axis=0), 0.0, codes)  # shap cannot colour a feature that nobody has
    explanation = shap.Explanation(values=contributions, data=shown, feature_names=labels)
    jitter = np.random.get_state()  # noqa: NPY002 - shap draws its jitter from numpy's global generator
    np.random.seed(0)  # noqa: NPY002
    shap.plots.beeswarm(explanation, max_display=SHOWN_FEATURES, ax=axes, show=False, plot_size=None, s=9)
    np.random.set_state(jitter)  # noqa: NPY002
    axes.set_title("What moves the predictions?", loc="left", fontsize=12, fontweight="bold", color=INK)
    axes.set_xlabel("effect on the log-odds of churn (to the right: more likely to leave)", fontsize=9.5)
    axes.tick_params(axis="y", labelsize=9.5)
    return figure


def importance(labels: Sequence[str], effects: Sequence[float]) -> "Figure":
    """Bars of the features' mean absolute effects (log-odds), which come largest first."""
    shown = slice(SHOWN_FEATURES)
    figure, axes = _canvas("Which features matter?", (6.2, 1.0 + 0.3 * min(SHOWN_FEATURES, len(labels))))
    axes.barh(range(len(labels[shown])), effects[shown], color=COLORS["challenger"], height=0.65)
    axes.set(yticks=range(len(labels[shown])), yticklabels=labels[shown], xlabel="mean absolute effect on the log-odds of churn")
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    return figure


def _canvas(title: str, size: tuple[float, float] = (6.2, 4.4)) -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK)
    axes.grid(color=LIGHT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=INK, labelsize=9)
    return figure, axes


def _percent(axes: Any, which: str) -> None:
    from matplotlib.ticker import PercentFormatter

    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    if which == "both":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
