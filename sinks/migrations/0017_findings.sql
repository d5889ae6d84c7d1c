-- Of each finding what was said last, unless it was withdrawn; made_at is when it was first told.

CREATE OR REPLACE VIEW findings AS
SELECT
    run,
    JSONExtractString(data, 'kind') AS kind,
    argMax(JSONExtractString(data, 'summary'), said) AS summary,
    JSONExtract(data, 'function', 'Nullable(String)') AS function,
    argMax(JSONExtractRaw(data, 'evidence'), said) AS evidence,
    JSONExtractString(data, 'finding') AS finding,
    max(JSONExtractUInt(data, 'revision')) AS revision,
    argMax(JSONExtractUInt(data, 'windows'), said) AS windows,
    min(time) AS made_at,
    max(time) AS revised_at
FROM
(
    SELECT type, run, time, data, (JSONExtractUInt(data, 'revision'), JSONExtractUInt(data, 'windows')) AS said
    FROM events_stored FINAL
    WHERE type IN ('loadflame.finding.made.v1', 'loadflame.finding.withdrawn.v1')
)
GROUP BY run, finding, kind, function
HAVING argMax(type, said) = 'loadflame.finding.made.v1';
