"""Names for the types of heavy libraries, real for type checkers and `Any` at run time.

Kedro resolves all annotations of a node to find its typed parameters; a name that only a type checker
can see would silently turn that off.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ibis.expr.types import Table
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from pyarrow import RecordBatchReader
else:
    DataFrame = Figure = RecordBatchReader = Table = Any

__all__ = ["DataFrame", "Figure", "RecordBatchReader", "Table"]
