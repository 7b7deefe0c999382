"""Plan, normalise, flows, labels, out of core; the only import of torch and cellpose."""
