"""Steps, passes, machine facts, records, agreement. Never imports torch."""
