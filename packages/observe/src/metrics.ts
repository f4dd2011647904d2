import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export interface MetricOptions {
  /** Snake-case name without the prefix; counters end in `_total`, units are base units (`_seconds`, `_bytes`). */
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
}

/** One program's Prometheus registry. Names carry the prefix once: `createMetrics('netmaster')` → `netmaster_requests_total`. */
export interface Metrics {
  readonly registry: Registry;
  counter(options: MetricOptions): Counter;
  /** `collect` runs at each scrape and sets the value. */
  gauge(options: MetricOptions & { readonly collect?: (gauge: Gauge) => void | Promise<void> }): Gauge;
  histogram(options: MetricOptions & { readonly buckets?: readonly number[] }): Histogram;
  /** Text exposition format, with the content type to send it under. */
  render(): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** Seconds, from a local look-up (100 µs) to a call that has failed (10 s). */
export const LATENCY_BUCKETS = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

/** `prefix` names the program; process metrics (CPU, memory, event-loop lag, GC, handles) come with it unless switched off. */
export function createMetrics(prefix: string, options: { readonly processMetrics?: boolean } = {}): Metrics {
  const registry = new Registry();
  if (options.processMetrics ?? true) collectDefaultMetrics({ register: registry, prefix: `${prefix}_` });
  const common = ({ name, help, labels }: MetricOptions) => ({
    name: `${prefix}_${name}`,
    help,
    labelNames: [...(labels ?? [])],
    registers: [registry],
  });
  return {
    registry,
    counter: (metric) => new Counter(common(metric)),
    gauge: (metric) => {
      const { collect } = metric;
      return new Gauge({
        ...common(metric),
        ...(collect === undefined
          ? {}
          : {
              async collect() {
                await collect(this);
              },
            }),
      });
    },
    histogram: (metric) => new Histogram({ ...common(metric), buckets: [...(metric.buckets ?? LATENCY_BUCKETS)] }),
    render: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  };
}
