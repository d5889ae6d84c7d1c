"""How a finding is marked wherever findings are listed on a terminal: a style of Rich, and a sign."""

OTHER = ("white", "●")
FINDINGS = {
    "superlinear": ("bold red", "▲"),
    "indicative": ("yellow", "△"),
    "slow": ("bold red", "◔"),
    "process-growth": ("yellow", "△"),
    "capacity": ("cyan", "◆"),
    "hot": OTHER,
    "endpoint": ("magenta", "◇"),
    "drift": ("yellow", "↗"),
    "leak": ("yellow", "↗"),
    "change": ("yellow", "↕"),
    "limit": ("cyan", "◆"),
    "scalability": ("cyan", "◆"),
    "sizing": ("cyan", "◆"),
    "steady": ("green", "○"),
    "none": ("green", "○"),
}
