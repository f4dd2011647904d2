/** A process for the crash test: writes to the store in argv[2] from many sides at once and prints what was acknowledged. */
import { LmdbStore } from './store.js';

const store = new LmdbStore(process.argv[2] ?? '');
const writer = async (w: number): Promise<void> => {
  for (let i = 0; ; i++) {
    const { revision } = await store.txn(
      [],
      [
        { put: `/w/${w}`, value: String(i) },
        { put: `/all/${w}/${i}`, value: '' },
      ],
    );
    process.stdout.write(`${revision} ${w} ${i}\n`);
  }
};
await Promise.all(Array.from({ length: 16 }, (_, w) => writer(w)));
