"""Alert rules as small typed records, in both forms in which Grafana takes them: a file, and its provisioning API.

Sources: `ProvisionedAlertRule` of Grafana's API description, `AlertRuleV1` of its file provisioning. A table with text
columns and one number is one alert instance a row, with the texts as its labels (`extractNumberSet` in Grafana's
expressions), so a threshold needs no reducing before it.
"""

from dataclasses import dataclass

from views.grafana.choices import DATASOURCE_UID, PLUGIN
from views.grafana.model import Dashboard, Json, sql_query

FOLDER_TITLE = "loadflame"
FOLDER_UID = "loadflame"
GROUP = "loadflame"
INTERVAL_S = 60
"""Between two evaluations; Grafana's own default for a group."""
_EXPRESSION = {"type": "__expr__", "uid": "__expr__"}


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One rule: fires when the number of a row of `sql` is above `above` for `hold`, as Grafana writes durations.

    The query looks back `looks_back_s` seconds. No row is no alarm: an idle system is well. A query that fails is an
    alarm of its own kind, for then nobody watches.
    """

    uid: str
    title: str
    sql: str
    above: float
    looks_back_s: int
    hold: str
    severity: str
    summary: str
    description: str
    dashboard: Dashboard
    panel: str

    def as_json(self) -> Json:
        """As the body of a call to the provisioning API."""
        return {
            **self._common(),
            "orgID": 1,
            "folderUID": FOLDER_UID,
            "ruleGroup": GROUP,
        }

    def as_provisioned(self) -> Json:
        """As one of the rules of a group in a file."""
        number = self.dashboard.number_of(self.panel)
        return {**self._common(), "dashboardUid": self.dashboard.uid, "panelId": number}

    def _common(self) -> Json:
        return {
            "uid": self.uid,
            "title": self.title,
            "condition": "B",
            "data": [self._query(), self._threshold()],
            "noDataState": "OK",
            "execErrState": "Error",
            "for": self.hold,
            "isPaused": False,
            "labels": {"app": "loadflame", "severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "link": "{{ externalURL }}d/" + self.dashboard.uid + "?var-service={{ $labels.service | urlquery }}"
                "&var-run={{ $labels.run | urlquery }}&from=now-15m&to=now",
                "__dashboardUid__": self.dashboard.uid,
                "__panelId__": str(self.dashboard.number_of(self.panel)),
            },
        }

    def _query(self) -> Json:
        model = sql_query(self.sql, "A", "table", {"type": PLUGIN, "uid": DATASOURCE_UID})
        return _data("A", DATASOURCE_UID, self.looks_back_s, model)

    def _threshold(self) -> Json:
        conditions = [{"evaluator": {"type": "gt", "params": [self.above]}}]
        model = {
            "refId": "B",
            "type": "threshold",
            "datasource": _EXPRESSION,
            "expression": "A",
            "conditions": conditions,
        }
        return _data("B", "__expr__", 0, model)


def _data(ref: str, datasource: str, from_s: int, model: Json) -> Json:
    return {
        "refId": ref,
        "queryType": "",
        "relativeTimeRange": {"from": from_s, "to": 0},
        "datasourceUid": datasource,
        "model": {**model, "intervalMs": 1000, "maxDataPoints": 43200},
    }


def as_provisioning_file(rules: tuple[AlertRule, ...]) -> Json:
    """The rules as one group, as Grafana reads it from its provisioning folder."""
    group = {
        "orgId": 1,
        "name": GROUP,
        "folder": FOLDER_TITLE,
        "interval": f"{INTERVAL_S}s",
        "rules": [rule.as_provisioned() for rule in rules],
    }
    return {"apiVersion": 1, "groups": [group]}
