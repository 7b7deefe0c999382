"""One row for each cell, out of core: measured block by block, written as CSV or Parquet."""
