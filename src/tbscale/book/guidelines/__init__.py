"""The guidelines of the book: rules with predicates over records, evaluated on every machine."""
