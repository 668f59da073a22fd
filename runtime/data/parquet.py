"""Apache Parquet: only the columns that the task reads, so that a column of any type may stand beside them."""

from __future__ import annotations

from typing import Any

from seedtune.runtime.data.formats import Records, Wanted, require_once
from seedtune.runtime.data.source import Source
from seedtune.runtime.errors import SeedTuneError


def read_parquet(source: Source, wanted: Wanted) -> Records:
    """An Apache Parquet file; "line" is the row number, from 1. Columns that are not read are named, and empty."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise SeedTuneError(
            "reading Parquet needs a package that this installation does not have",
            file=str(source),
            value=error.name,
            rule="the extra named parquet",
            remedy='pip install "seedtune[parquet]"',
        ) from error
    number = 0
    try:
        file = pyarrow.BufferReader(source.read()) if source.is_pipe else source.path
        with pyarrow.parquet.ParquetFile(file) as table:
            schema = table.schema_arrow
            require_once(schema.names, wanted, str(source))
            columns = [name for name in schema.names if name in wanted.columns]
            for name in columns:
                _require_plain(pyarrow.types, schema.field(name).type, name, source)
            others = dict.fromkeys(schema.names)
            # "text" also chooses a column that is called "text.length".
            batches = (batch.select(columns) for batch in table.iter_batches(batch_size=1024, columns=columns))
            for batch in batches:
                for place in range(batch.num_rows):
                    number += 1
                    yield number, others | batch.slice(place, 1).to_pylist()[0]
    except UnicodeDecodeError as error:
        raise SeedTuneError(
            "a text of the Parquet file is not UTF-8",
            file=f"{source}:{number}",
            value=f"byte 0x{error.object[error.start]:02x} at offset {error.start} of the text",
            rule="UTF-8 text",
            remedy="write the file again from text",
        ) from error
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise SeedTuneError(
            f"the Parquet file cannot be read ({error})",
            file=str(source),
            rule="an Apache Parquet file",
            remedy="write or copy it again",
        ) from error


def _require_plain(types: Any, column_type: Any, name: str, source: Source) -> None:
    """Raises SeedTuneError for a type that neither a field nor a label can have."""
    value_type = column_type.value_type if types.is_dictionary(column_type) else column_type
    plain = (
        types.is_string,
        types.is_large_string,
        types.is_string_view,
        types.is_integer,
        types.is_floating,
        types.is_decimal,
        types.is_boolean,
        types.is_binary,
        types.is_null,
    )
    if not any(check(value_type) for check in plain):
        raise SeedTuneError(
            f"the column {name!r} is of a type that holds neither text nor labels",
            file=str(source),
            value=str(column_type),
            rule="text, or whole numbers or truth values for a label",
            remedy="convert the column, or change the task",
        )
