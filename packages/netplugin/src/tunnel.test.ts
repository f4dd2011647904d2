import { expect, test } from 'vitest';
import { portProblems, portWarnings } from './tunnel.js';

test('hosts with another VXLAN port are named, with the way out', () => {
  const others = [
    { name: 'same', vxlanPort: 8472 },
    { name: 'odd', vxlanPort: 4789 },
  ];
  expect(portProblems(8472, others)).toEqual([
    expect.stringMatching(/^VXLAN goes to UDP port 4789 on odd and to 8472 here, .*--vxlan-port/),
  ]);
  expect(portProblems(8472, [])).toEqual([]);
});

test("Docker's overlay port is warned about, the usual one is not", () => {
  expect(portWarnings(4789)).toEqual([expect.stringContaining('address already in use')]);
  expect(portWarnings(8472)).toEqual([]);
});
