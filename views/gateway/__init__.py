"""The embedded store for everybody who speaks ClickHouse's HTTP interface: read-only, bounded, beside the pipeline.

Pure: `call` (what is asked), `judging` (what may be asked), `limits` (how much), `refusals` (what is answered instead),
`hello` (Native blocks made by hand), `compression`. Around them: `sources` (who answers), `body` (how an answer waits
for its reader), `app` (the aiohttp application).
"""
