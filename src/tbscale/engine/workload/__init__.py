"""One fresh process, one pass: `python -m tbscale.engine.workload JOB.json RESULT.json`.

The parent (`tbscale.bench.passes`) writes the job; this package runs it with nothing else in
the process and writes what it saw. Importing it does not import torch.
"""
