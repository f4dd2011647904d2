import { expect, test } from 'vitest';
import { createMetrics } from './metrics.js';

test("a program's own figures: how busy it was since the last scrape, and nothing that takes a timer of its own", async () => {
  const metrics = createMetrics('thing');
  const ratio = async () => Number((await metrics.render()).body.match(/^thing_nodejs_eventloop_utilization_ratio (\S+)$/m)?.[1]);
  const until = performance.now() + 100;
  while (performance.now() < until);
  expect(await ratio()).toBeGreaterThan(0.1);
  await new Promise((wake) => setTimeout(wake, 200));
  expect(await ratio()).toBeLessThan(0.5);
  const { body } = await metrics.render();
  expect(body).toMatch(/^thing_process_cpu_seconds_total \d/m);
  expect(body).not.toMatch(/eventloop_lag_(p\d+|max|mean)/);
});
