"""Train weights for the unmodified Cellpose 3 network: `python -m tbscale.engine.training`."""
