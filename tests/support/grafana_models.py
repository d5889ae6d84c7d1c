# ruff: noqa: N815  names as Grafana's
"""What Grafana publishes of its JSON, as strict models of the part that we use; every other key is forbidden.

Sources: the dashboard kind (`dashboard_kind.cue`), `CHSqlQuery` and `CHConfig` of the ClickHouse data source, Folder,
Data source and Dashboard API, `ProvisionedAlertRule` and its form in files (`AlertRuleV1`).
"""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Uid = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,40}$")]
Duration = Annotated[str, Field(pattern=r"^\d+[smhd]$")]
NonEmpty = Annotated[str, Field(min_length=1)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Reference(Part):
    type: NonEmpty
    uid: NonEmpty


class SqlQuery(Part):
    """`CHSqlQuery`; an alert's has two keys more."""

    refId: NonEmpty
    datasource: Reference
    pluginVersion: NonEmpty
    editorType: Literal["sql"]
    format: Literal[0, 1]
    queryType: Literal["timeseries", "table"]
    rawSql: NonEmpty
    intervalMs: int | None = None
    maxDataPoints: int | None = None


class GridPos(Part):
    h: Annotated[int, Field(gt=0)]
    w: Annotated[int, Field(gt=0, le=24)]
    x: Annotated[int, Field(ge=0, lt=24)]
    y: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def ends_on_the_grid(self) -> "GridPos":
        assert self.x + self.w <= 24
        return self


class DataLink(Part):
    title: NonEmpty
    url: Annotated[str, Field(pattern=r"^(/d/|\$\{page:raw\}/)")]
    targetBlank: bool = False


class Step(Part):
    value: float | None
    color: NonEmpty


class Thresholds(Part):
    mode: Literal["absolute", "percentage"]
    steps: Annotated[list[Step], Field(min_length=1)]

    @model_validator(mode="after")
    def begins_at_minus_infinity(self) -> "Thresholds":
        assert self.steps[0].value is None
        values = [step.value for step in self.steps[1:]]
        assert None not in values
        assert values == sorted(values, key=float)  # type: ignore[arg-type]
        return self


class ValueMapping(Part):
    type: Literal["value"]
    options: dict[str, dict[str, str | int]]


class Colour(Part):
    mode: Literal["fixed", "palette-classic", "thresholds"]
    fixedColor: NonEmpty | None = None


class FieldSettings(Part):
    """`FieldConfig`: what a field may be told, by default or by an override."""

    unit: NonEmpty | None = None
    displayName: str | None = None
    decimals: int | None = None
    min: float | None = None
    max: float | None = None
    links: list[DataLink] = []
    thresholds: Thresholds | None = None
    mappings: list[ValueMapping] = []
    color: Colour | None = None
    custom: dict[str, Any] = {}


class Property(Part):
    id: NonEmpty
    value: Any

    @model_validator(mode="after")
    def is_known(self) -> "Property":
        if self.id.startswith("custom."):
            assert self.id.removeprefix("custom.") in CUSTOM
        else:
            FieldSettings.model_validate({self.id: self.value})
        return self


CUSTOM = {
    # of time series
    "fillOpacity", "lineWidth", "showPoints", "stacking", "axisLabel", "axisPlacement", "lineStyle", "drawStyle",
    # of tables
    "minWidth", "width", "cellOptions", "hidden",
}  # fmt: skip


class Matcher(Part):
    id: Literal["byRegexp", "byFrameRefID"]
    options: NonEmpty

    @model_validator(mode="after")
    def has_the_form_of_its_kind(self) -> "Matcher":
        if self.id == "byRegexp":
            assert len(self.options) > 2
            assert self.options[0] == self.options[-1] == "/"
            re.compile(self.options[1:-1])
        return self


class FieldOverride(Part):
    matcher: Matcher
    properties: Annotated[list[Property], Field(min_length=1)]


class FieldConfigSource(Part):
    defaults: FieldSettings
    overrides: list[FieldOverride]


class PanelModel(Part):
    id: Annotated[int, Field(gt=0)]
    title: NonEmpty
    type: Literal["timeseries", "flamegraph", "table", "stat"]
    description: NonEmpty
    datasource: Reference
    gridPos: GridPos
    interval: Duration
    targets: Annotated[list[SqlQuery], Field(min_length=1)]
    fieldConfig: FieldConfigSource
    options: dict[str, Any]

    @model_validator(mode="after")
    def has_settings_of_its_kind(self) -> "PanelModel":
        assert set(self.fieldConfig.defaults.custom) <= CUSTOM
        assert self.type == "timeseries" or not self.fieldConfig.defaults.custom
        refs = {target.refId for target in self.targets}
        assert len(refs) == len(self.targets)
        for override in self.fieldConfig.overrides:
            assert override.matcher.id != "byFrameRefID" or override.matcher.options in refs
        if self.type == "flamegraph":
            assert len(self.targets) == 1, "the panel draws its first series only"
        return self


class ListVariable(Part):
    """`VariableModel`, of each kind the keys that this kind knows."""

    KEYS: ClassVar[dict[str, set[str]]] = {
        "query": {"datasource", "query", "refresh", "sort", "multi", "includeAll", "hide", "skipUrlSync"},
        "datasource": {"query", "refresh"},
        "constant": {"query", "hide", "skipUrlSync"},
    }
    name: Annotated[str, Field(pattern=r"^\w+$")]
    label: NonEmpty
    type: Literal["query", "datasource", "constant"]
    query: NonEmpty
    datasource: Reference | None = None
    current: dict[str, Any] = {}
    refresh: Literal[0, 1, 2] | None = None
    sort: Annotated[int, Field(ge=0, le=8)] | None = None
    multi: bool | None = None
    includeAll: bool | None = None
    hide: Literal[0, 1, 2] | None = None
    skipUrlSync: bool | None = None

    @model_validator(mode="after")
    def has_keys_of_its_kind(self) -> "ListVariable":
        assert self.model_fields_set - {"name", "label", "type", "current"} == self.KEYS[self.type]
        return self


class Annotation(Part):
    name: NonEmpty
    enable: bool
    iconColor: NonEmpty
    datasource: Reference
    target: SqlQuery


class DashboardLink(Part):
    title: NonEmpty
    type: Literal["link", "dashboards"]
    icon: str
    tooltip: str
    url: str
    tags: list[str]
    asDropdown: bool
    targetBlank: bool
    includeVars: bool
    keepTime: bool

    @model_validator(mode="after")
    def leads_somewhere(self) -> "DashboardLink":
        assert bool(self.url) == (self.type == "link")
        assert bool(self.tags) == (self.type == "dashboards")
        return self


class TimeRange(Part):
    from_: str = Field(alias="from")
    to: str


class Variables(Part):
    list: list[ListVariable]


class AnnotationList(Part):
    list: list[Annotation]


class DashboardModel(Part):
    uid: Uid
    title: NonEmpty
    description: NonEmpty
    tags: list[str]
    timezone: Literal["browser", "utc"]
    schemaVersion: Annotated[int, Field(ge=36)]
    refresh: Duration
    time: TimeRange
    graphTooltip: Literal[0, 1, 2]
    links: list[DashboardLink]
    templating: Variables
    annotations: AnnotationList
    panels: list[PanelModel]


class SaveDashboard(Part):
    dashboard: DashboardModel
    folderUid: Uid
    overwrite: Literal[True]
    message: NonEmpty


class NewFolder(Part):
    uid: Uid
    title: NonEmpty


class JsonData(Part):
    """Of the data source's `CHConfig`."""

    host: NonEmpty
    port: Annotated[int, Field(gt=0, lt=65536)]
    protocol: Literal["http", "native"]
    secure: bool
    username: NonEmpty
    defaultDatabase: NonEmpty
    tlsAuthWithCACert: bool
    tlsAuth: bool


class SecureJsonData(Part):
    password: NonEmpty | None = None
    tlsCACert: Annotated[str, Field(pattern="BEGIN CERTIFICATE")] | None = None
    tlsClientCert: Annotated[str, Field(pattern="BEGIN CERTIFICATE")] | None = None
    tlsClientKey: Annotated[str, Field(pattern="PRIVATE KEY")] | None = None


class DataSource(Part):
    uid: Uid
    name: NonEmpty
    type: Literal["grafana-clickhouse-datasource"]
    access: Literal["proxy"]
    jsonData: JsonData
    secureJsonData: SecureJsonData

    @model_validator(mode="after")
    def has_what_it_says(self) -> "DataSource":
        assert self.jsonData.tlsAuthWithCACert == bool(self.secureJsonData.tlsCACert)
        both = self.secureJsonData.tlsClientCert, self.secureJsonData.tlsClientKey
        assert self.jsonData.tlsAuth == all(both) == any(both)
        return self


class RelativeTimeRange(Part):
    from_: Annotated[int, Field(ge=0, alias="from")]
    to: Annotated[int, Field(ge=0)]


class Evaluator(Part):
    type: Literal["gt", "lt"]
    params: Annotated[list[float], Field(min_length=1, max_length=1)]


class Condition(Part):
    evaluator: Evaluator


class Threshold(Part):
    refId: NonEmpty
    type: Literal["threshold"]
    datasource: Reference
    expression: NonEmpty
    conditions: Annotated[list[Condition], Field(min_length=1)]
    intervalMs: int
    maxDataPoints: int


class AlertQuery(Part):
    refId: NonEmpty
    queryType: str
    relativeTimeRange: RelativeTimeRange
    datasourceUid: NonEmpty
    model: dict[str, Any]

    @model_validator(mode="after")
    def has_a_model_of_its_source(self) -> "AlertQuery":
        if self.datasourceUid == "__expr__":
            Threshold.model_validate(self.model)
        else:
            assert SqlQuery.model_validate(self.model).datasource.uid == self.datasourceUid
            assert self.relativeTimeRange.from_ > self.relativeTimeRange.to
        assert self.model["refId"] == self.refId
        return self


class Rule(Part):
    """What a file and the API have in common."""

    uid: Uid
    title: Annotated[str, Field(min_length=1, max_length=190)]
    condition: NonEmpty
    data: Annotated[list[AlertQuery], Field(min_length=1)]
    noDataState: Literal["Alerting", "NoData", "OK"]
    execErrState: Literal["OK", "Alerting", "Error"]
    for_: Annotated[Duration, Field(alias="for")]
    isPaused: bool
    labels: dict[str, str]
    annotations: dict[str, str]

    @model_validator(mode="after")
    def its_condition_is_one_of_its_queries(self) -> "Rule":
        refs = [one.refId for one in self.data]
        assert self.condition in refs
        assert {one.model["expression"] for one in self.data if one.datasourceUid == "__expr__"} <= set(refs)
        assert {"__dashboardUid__", "__panelId__"} <= set(self.annotations)
        return self


class ProvisionedRule(Rule):
    orgID: int
    folderUID: Uid
    ruleGroup: Annotated[str, Field(min_length=1, max_length=190)]


class FileRule(Rule):
    dashboardUid: Uid
    panelId: int


class FileGroup(Part):
    orgId: int
    name: NonEmpty
    folder: NonEmpty
    interval: Duration
    rules: list[FileRule]


class AlertingFile(Part):
    apiVersion: Literal[1]
    groups: list[FileGroup]
