"""The tasks of a run after the network: each reads its inputs, computes, stores its output.

A task depends on nothing but its block and what earlier tasks stored, so within a kind the order
does not matter, and a task that was cut short is simply run again. Tasks are plain values: they
can be sent to another process that sees the same folder.
"""
