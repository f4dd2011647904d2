/** What `service NAME status` prints, in the lines of `systemctl status`. Pure. */

export interface UnitFacts {
  readonly name: string;
  readonly file: string;
  /** `failed`: it ended without being asked to. */
  readonly state: 'running' | 'failed' | 'stopped';
  readonly pid?: number;
  readonly since?: Date;
  readonly serving: boolean;
  /** Where it shows that it serves. */
  readonly serves: string;
  readonly cgroup: string;
  readonly argv: readonly string[];
  /** Last lines of its log. */
  readonly log: readonly string[];
}

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

/** `Wed 2026-11-25 21:08:51 UTC; 5min ago` */
export function since(began: Date, now: Date): string {
  const [date = '', time = ''] = began.toISOString().split('T');
  return `${DAYS[began.getUTCDay()]} ${date} ${time.slice(0, 8)} UTC; ${ago(Math.max(0, now.getTime() - began.getTime()) / 1000)} ago`;
}

function ago(seconds: number): string {
  const units = [
    [86_400, 'day'],
    [3_600, 'h'],
    [60, 'min'],
    [1, 's'],
  ] as const;
  let rest = Math.floor(seconds);
  const parts: string[] = [];
  for (const [length, unit] of units) {
    const count = Math.floor(rest / length);
    rest -= count * length;
    if (count > 0) parts.push(unit === 'day' ? `${count} day${count > 1 ? 's' : ''}` : `${count}${unit}`);
  }
  return parts.slice(0, 2).join(' ') || '0s';
}

/** `width`: columns of the terminal; longer lines are cut, as systemd does. */
export function unitStatus(unit: UnitFacts, now: Date, width = Number.POSITIVE_INFINITY): string {
  const { name, pid } = unit;
  const began = unit.since ? ` since ${since(unit.since, now)}` : '';
  const active = { running: 'active (running)', failed: 'failed', stopped: 'inactive (dead)' }[unit.state];
  const lines = [
    `${{ running: '●', failed: '×', stopped: '○' }[unit.state]} ${name}.service`,
    `     Loaded: loaded (${unit.file})`,
    `     Active: ${active}${began}`,
  ];
  if (unit.state === 'running') {
    lines.push(
      `   Main PID: ${pid} (${name})`,
      `     Status: "${unit.serving ? 'serves' : 'does not serve (yet)'}: ${unit.serves}"`,
      `     CGroup: ${unit.cgroup}`,
      `             └─${pid} ${unit.argv.join(' ')}`,
    );
  }
  if (unit.log.length > 0) lines.push('', ...unit.log);
  return `${lines.map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line)).join('\n')}\n`;
}
