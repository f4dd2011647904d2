import { performance } from 'node:perf_hooks';
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

/** `prefix` names the program; process metrics (CPU, memory, use of the event loop, GC, handles) come with it unless switched off. */
export function createMetrics(prefix: string, options: { readonly processMetrics?: boolean } = {}): Metrics {
  const registry = new Registry();
  if (options.processMetrics ?? true) processMetrics(registry, `${prefix}_`);
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

/** The longest a timer of Node's can wait: 24 days. */
const NEVER_MS = 2 ** 31 - 1;

/**
 * prom-client's own, but for the percentiles of the event loop's delay: a timer that fires a hundred times a second measures them, which costs an
 * idle program more than everything else it does. How busy the loop was since the last scrape is known without any timer.
 */
function processMetrics(registry: Registry, prefix: string): void {
  collectDefaultMetrics({ register: registry, prefix, eventLoopMonitoringPrecision: NEVER_MS });
  for (const of of ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'])
    registry.removeSingleMetric(`${prefix}nodejs_eventloop_lag_${of}_seconds`);
  let last = performance.eventLoopUtilization();
  new Gauge({
    name: `${prefix}nodejs_eventloop_utilization_ratio`,
    help: 'Share of the time since the last scrape in which the event loop was at work, 0 to 1.',
    registers: [registry],
    collect() {
      const now = performance.eventLoopUtilization();
      this.set(performance.eventLoopUtilization(now, last).utilization);
      last = now;
    },
  });
}
