import { SimulatedEngine } from './engine.js';

/** Serves simulated engines on ports in a row of loopback until it is ended: the benchmark's own child process. */
export async function serveEngines(count: number, containers: number, firstPort: number): Promise<void> {
  for (let i = 0; i < count; i++) await new SimulatedEngine(`sim${String(i).padStart(4, '0')}`, containers).listen(firstPort + i);
  process.stdout.write('ready\n');
  await new Promise<never>(() => undefined);
}
