// The type of a dashboard, from the types that Grafana publishes. Those allow any record
// for the options and settings of a panel; these only allow those of the two kinds of
// panels that the dashboard uses.
import type { Dashboard, FieldConfig, FieldConfigSource, Panel, RowPanel } from "@grafana/schema";
import type {
  FieldConfig as TimeSeriesField, Options as TimeSeriesOptions,
} from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";
import type {
  Options as StatOptions,
} from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";

// Plain is T as it is in JSON: a member of an enumeration is its text or number.
type Plain<T> = T extends string ? `${T}`
  : T extends number | boolean | null | undefined ? T
  : { [K in keyof T]: Plain<T[K]> };

// Query is a query of @grafana/prometheus, whose types are not published.
interface Query {
  refId: string;
  datasource: { type: "prometheus"; uid: "${datasource}" };
  editorMode: "code";
  expr: string;
  legendFormat: string;
  range: true;
}

type Of<Type extends string, Options, Custom> = Plain<
  Omit<Panel, "type" | "options" | "fieldConfig" | "targets"> & {
    options: Options;
    fieldConfig: Omit<FieldConfigSource, "defaults"> & { defaults: Omit<FieldConfig, "custom"> & { custom?: Custom } };
  }
> & { type: Type; targets: Query[] };

type AnyPanel =
  | Of<"timeseries", TimeSeriesOptions, TimeSeriesField>
  | Of<"stat", StatOptions, never>
  | (Plain<Omit<RowPanel, "panels">> & { panels: [] });

export type Whole = Plain<Omit<Dashboard, "panels">> & { panels: AnyPanel[] };
