"""The gauges of the last verdict, in the database of the prediction log: monitoring writes them, the API shows them to Prometheus."""

from churn.core.errors import ChurnError
from churn.io.predictions.log_engine import SECONDS, open_engine
from churn.io.predictions.log_reader import reading
from churn.io.predictions.prediction_log import GAUGES, migrate


def write_gauges(url: str, text: str) -> None:
    """Keep the gauges in place of the last ones.

    Args:
        url: the prediction log.
        text: in Prometheus' text format.

    Raises:
        ChurnError: if the database does not take them.
    """
    from sqlalchemy import text as statement
    from sqlalchemy.exc import SQLAlchemyError

    engine = open_engine(url, SECONDS)
    keep = f"INSERT INTO {GAUGES} (id, content) VALUES (1, :content) ON CONFLICT (id) DO UPDATE SET content = excluded.content"  # noqa: S608
    try:
        with engine.connect() as connection:
            migrate(connection)
            connection.execute(statement(keep), {"content": text})
            connection.commit()
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        raise ChurnError(f"The gauges cannot be written to the database of the prediction log: {reason}") from None
    finally:
        engine.dispose()


def read_gauges(url: str) -> str:
    """The gauges of the last verdict; empty where there is none.

    Raises:
        ChurnError: if the database does not answer.
    """
    with reading(url, GAUGES) as connection:
        if connection is None:
            return ""
        return str(connection.exec_driver_sql(f"SELECT coalesce(max(content), '') FROM {GAUGES}").scalar_one())  # noqa: S608
