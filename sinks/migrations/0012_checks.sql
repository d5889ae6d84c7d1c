-- What a run's checks said of its delivery: a run in which one is broken may not be judged.

CREATE OR REPLACE VIEW checks AS
SELECT
    run,
    JSONExtractString(outcome, 'name') AS name,
    JSONExtract(outcome, 'ok', 'Nullable(Bool)') AS ok,
    JSONExtractString(outcome, 'sentence') AS sentence
FROM events_stored FINAL
ARRAY JOIN JSONExtractArrayRaw(data, 'checks') AS outcome
WHERE type = 'loadflame.run.checked.v1';
