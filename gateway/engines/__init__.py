"""Where the rows are: an engine runs a plan next to the data and returns what nothing has protected yet.

``port.py`` is what the rest of the house sees; ``duckdb.py`` is the embedded engine over CSV and
Parquet files. An engine decides nothing and adds no noise: rows as typed, or exact integers.
"""
