"""The fault campaign: what goes wrong in a long soak is made to go wrong here, on purpose, and counted.

Real Apache Kafka, a store in a process of its own, workers as they are deployed. After each fault the store is held
against the harness's own record of what was sent, and `processors.verify` against itself. One file per family of
faults, each with a table `FAULTS`; `python -m tests.faults` runs them (see `make faults`, which damages messages for a
minute besides: `tests.faults.fuzzing`).
"""
