"""Guidelines and their predicates, figures, tables, permalinks."""
