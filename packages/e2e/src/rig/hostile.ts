/** Bytes nobody should send, in the same order every time. */
import { createHash } from 'node:crypto';
import { connect, type NetConnectOpts } from 'node:net';

/** Random numbers that a failed run can be repeated with. */
export class Dice {
  readonly #seed: string;
  #count = 0;

  constructor(seed: string) {
    this.#seed = seed;
  }

  bytes(length: number): Buffer {
    const parts: Buffer[] = [];
    for (let have = 0; have < length; have += 32)
      parts.push(
        createHash('sha256')
          .update(`${this.#seed} ${this.#count++}`)
          .digest(),
      );
    return Buffer.concat(parts).subarray(0, length);
  }

  below(limit: number): number {
    return this.bytes(4).readUInt32LE(0) % limit;
  }

  of<T>(...choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0];
  }
}

/** Near enough to JSON, to a number or to a name to get past the first look. */
export function junk(dice: Dice): Buffer {
  const word = (): string => dice.bytes(1 + dice.below(40)).toString(dice.of('hex', 'latin1', 'base64'));
  return dice.of(
    () => dice.bytes(dice.below(300)),
    () => Buffer.from('{"NetworkID":'),
    () =>
      Buffer.from(
        JSON.stringify({ NetworkID: dice.below(9), EndpointID: null, PoolID: {}, Options: [], tenantName: [], subnet: dice.below(99) }),
      ),
    () =>
      Buffer.from(
        JSON.stringify({
          NetworkID: word(),
          EndpointID: word(),
          PoolID: `${word()}|||`,
          Address: word(),
          networkName: word(),
          encap: word(),
        }),
      ),
    () =>
      Buffer.from(
        '{"__proto__":{"x":1},"constructor":{"prototype":{}},"NetworkID":"__proto__","EndpointID":"constructor","key":"toString"}',
      ),
    () => Buffer.from('['.repeat(5_000)),
    () => Buffer.from(`{"NetworkID":"${'x'.repeat(5_000)}"}`),
  )();
}

/** An HTTP request as somebody might write one who has not understood it. */
export function request(dice: Dice, method: string, target: string): Buffer {
  const body = junk(dice);
  const length = dice.of(body.length, body.length, body.length, body.length + 5, 0);
  const head = `${method} ${target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}

/** Sends and hangs up after the first words of an answer; the impatient say at once that they will send nothing more, which Node takes for a good-bye. */
export function send(to: NetConnectOpts, bytes: Buffer, patient: boolean): Promise<string> {
  return new Promise((done) => {
    let said = '';
    const socket = connect(to, () => (patient ? socket.write(bytes) : socket.end(bytes)));
    socket.setTimeout(patient ? 10_000 : 2_000, () => socket.destroy());
    socket.on('data', (chunk) => {
      said = chunk.toString('latin1');
      socket.destroy();
    });
    socket.on('error', () => undefined);
    socket.once('close', () => done(said));
  });
}

/** Answers how often each status was answered; `-` where there was no answer. */
export async function bombard(to: NetConnectOpts, count: number, next: () => Buffer): Promise<ReadonlyMap<string, number>> {
  const statuses = new Map<string, number>();
  let left = count;
  const lane = async (): Promise<void> => {
    while (left-- > 0) {
      const status = /^HTTP\/1\.1 (\d{3})/.exec(await send(to, next(), false))?.[1] ?? '-';
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 32 }, lane));
  return statuses;
}
