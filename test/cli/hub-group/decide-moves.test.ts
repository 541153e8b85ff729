import { describe, expect, test } from 'vitest';
import { decideMoves } from '../../../cli/hub-group/decide-moves.ts';

describe('[GROUP-11] which agents move to another worker', () => {
  test.each([
    [[100, 100], {}],
    [[110, 90], {}],
    [[6, 0], {}],
    [[40, 0], { 0: 5 }],
    [[200, 0], { 0: 25 }],
    [[0, 15_000], { 1: 250 }],
    [[100, 100, 0], { 0: 9, 1: 9 }],
    [[111, 89, 100], { 0: 3 }],
    [[50], {}],
    [[0, 0, 0], {}],
  ] as const)('of workers with %j: %j', (agents, moves) => {
    const decided = decideMoves(agents.map((count, worker) => ({ worker, agents: count })));
    expect(Object.fromEntries(decided.map(({ worker, agents: count }) => [worker, count]))).toEqual(moves);
  });
});
