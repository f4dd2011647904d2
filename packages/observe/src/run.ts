import { Lifecycle, type LifecycleOptions } from './lifecycle.js';

/**
 * A daemon's frame: `setup` adds services, they start in order, and the process lives until SIGTERM, SIGINT or `lifecycle.stop`.
 * Exit codes: 0 stopped on request, 1 failed to start or crashed, 128 + n on a second signal n (exit at once).
 * An uncaught exception is logged and ends the process after an orderly stop: state after it is unknown.
 */
export async function runMain(options: LifecycleOptions, setup: (lifecycle: Lifecycle) => Promise<void> | void): Promise<void> {
  const { logger } = options;
  const lifecycle = new Lifecycle(options);
  const end = async (reason: string, code: number): Promise<never> => {
    const clean = await lifecycle.stop(reason);
    process.exit(code === 0 && !clean ? 1 : code);
  };
  for (const [signal, number] of [
    ['SIGTERM', 15],
    ['SIGINT', 2],
  ] as const) {
    process.on(signal, () => {
      if (lifecycle.signal.aborted) process.exit(128 + number);
      logger.info({ signal }, 'stopping');
      void end(signal, 0);
    });
  }
  const crash = (err: unknown) => {
    logger.fatal({ err }, 'internal error; stopping');
    void end('internal error', 1);
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
  try {
    await setup(lifecycle);
    await lifecycle.start();
  } catch (error) {
    // One sentence for people; the stack only for those who ask with --log-level debug.
    logger.fatal(logger.isLevelEnabled('debug') ? { err: error } : {}, error instanceof Error ? error.message : String(error));
    await end('failed to start', 1);
  }
}
