-- Whether a stage is one to be measured; stages that were announced before they said so were.

CREATE OR REPLACE VIEW stages AS
SELECT
    run,
    JSONExtractString(data, 'label') AS label,
    JSONExtractString(data, 'stage') AS stage,
    JSONExtractString(data, 'form') AS form,
    JSONExtractUInt(data, 'visit') AS visit,
    fromUnixTimestamp64Micro(JSONExtractInt(data, 'starts_at_us'), 'UTC') AS starts_at,
    fromUnixTimestamp64Micro(JSONExtractInt(data, 'ends_at_us'), 'UTC') AS ends_at,
    JSONExtractUInt(data, 'settle_us') AS settle_us,
    JSONExtractFloat(data, 'rate_from_tps') AS rate_from_tps,
    JSONExtractFloat(data, 'rate_to_tps') AS rate_to_tps,
    if(JSONExtractString(data, 'role') = '', 'measure', JSONExtractString(data, 'role')) AS role
FROM events_stored FINAL
WHERE type = 'loadflame.stage.entered.v1';
