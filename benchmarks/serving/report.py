"""The table of the comparison, and the ratios that the goals are about."""

import argparse
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

COLUMNS = ("server", "p50 ms", "p99 ms", "requests/s at 32", "CPU ms, one at a time", "CPU ms at 32", "PSS MB", "ready s")
REPEATED = "ae"
"""The servers whose ratio is the first of the goals: measured in turns, so that what else the machine does meets both alike."""
HEAD = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


@dataclass(frozen=True)
class Figures:
    """What was measured of one server; CPU includes all of its processes, memory is their PSS."""

    start: float
    p50: float
    p99: float
    rate: float
    cpu_one: float
    cpu_many: float
    megabytes: float


def median(several: Sequence[Figures]) -> Figures:
    """The median of each figure."""
    return Figures(*(statistics.median(getattr(one, figure.name) for one in several) for figure in fields(Figures)))


def line(name: str, found: Figures) -> str:
    """One row of the table."""
    return (
        f"| {name} | {found.p50:.2f} | {found.p99:.2f} | {found.rate:,.0f} | {found.cpu_one:.3f} | {found.cpu_many:.3f} "
        f"| {found.megabytes:.0f} | {found.start:.1f} |"
    )


def ratios(found: Mapping[str, Figures]) -> list[str]:
    """CPU per request at 32 connections, as ratios between the servers that were measured, by their letters."""
    pairs = (("e", "a", "tutorial / app"), ("d", "a", "mlflow models serve / app"), ("b", "c", "app without log / echo"), ("a", "b", "log"))
    return [f"{text}: {found[one].cpu_many / found[other].cpu_many:.1f}" for one, other, text in pairs if one in found and other in found]


def arguments(description: str | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=description)
    parser.add_argument("--rows", type=int, nargs="+", default=[7043, 100_000], help="customers of the sample table, one comparison each")
    parser.add_argument("--quick", action="store_true", help="a short search: fewer trees, the same servers")
    parser.add_argument("--seconds", type=float, default=10, help="of load per server")
    parser.add_argument("--singles", type=int, default=2000, help="requests one at a time per server")
    parser.add_argument("--rounds", type=int, default=3, help=f"measurements of the servers {REPEATED}, in turns; the medians are printed")
    parser.add_argument("--peers", default="abcde", help="letters of the servers to measure")
    return parser.parse_args()
