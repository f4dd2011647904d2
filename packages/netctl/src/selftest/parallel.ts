/** Does `task` for all, so many at a time; none is begun any more once `signal` is aborted, those that are under way are waited for. */
export async function each<T>(items: readonly T[], width: number, task: (item: T) => Promise<void>, signal?: AbortSignal): Promise<void> {
  const queue = [...items].toReversed();
  const worker = async () => {
    for (let item = queue.pop(); item !== undefined; item = queue.pop()) {
      if (signal?.aborted) return;
      await task(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
  signal?.throwIfAborted();
}

/** A pause that `signal` cuts short, with its reason thrown. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
  signal?.throwIfAborted();
}
