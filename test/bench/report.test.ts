import { describe, expect, it } from 'vitest';
import { figure, ranged, toMarkdown, toText } from '../../bench/harness/report.ts';
import { judge, type RowResult, type Run, runSchema } from '../../bench/harness/results.ts';
import { failedLine } from '../../bench/harness/row.ts';

const row: RowResult = {
  name: 'memory',
  title: 'Memory per idle agent',
  how: 'The slope.',
  seconds: 75,
  tables: [
    {
      head: ['peer', 'kB'],
      rows: [
        ['bare ws', '5.1'],
        ['a | b', '9.9'],
      ],
    },
  ],
  aims: [
    judge('kB an agent, at most 9', 9.5, { atMost: 9 }, ' kB'),
    judge('x bare ws', 0.97, { atLeast: 0.95 }),
  ],
  notes: ['A note.'],
  numbers: { 'bare kB': [5.1] },
};

const run: Run = {
  format: 1,
  startedAt: '2026-03-01T12:00:00.000Z',
  seconds: 1_290,
  scale: 'full',
  command: 'npm run bench',
  machine: {
    cores: 2,
    cpu: 'a CPU',
    memoryGib: 23,
    kernel: 'Linux 6',
    node: 'v20.20.2',
    redis: '7.0.15',
    mosquitto: 'not installed',
    openFiles: '20000',
    backlog: '4096',
    pinned: true,
  },
  peers: [{ title: 'bare ws', is: 'the floor', lacks: 'everything else' }],
  rows: [row],
};

describe('the report of the bench', () => {
  it('never hides a miss, and calls nothing met that was not measured', () => {
    expect(judge('a', 9.5, { atMost: 9 }).verdict).toBe('missed');
    expect(judge('a', 9, { atMost: 9 }).verdict).toBe('met');
    expect(judge('a', 0.94, { atLeast: 0.95 }).verdict).toBe('missed');
    expect(judge('a', Number.NaN, { atMost: 9 })).toEqual({
      aim: 'a',
      measured: 'not measured',
      verdict: 'unknown',
    });
    expect(judge('a', Number.POSITIVE_INFINITY, { atLeast: 1 }).verdict).toBe('unknown');
    const page = toMarkdown(run);
    expect(page).toContain('| memory | kB an agent, at most 9 | 9.50 kB | **missed** |');
    expect(page).toContain('| memory | x bare ws | 0.97 | met |');
  });

  it('says which row failed, before its aims', () => {
    const failed = { ...row, aims: [], tables: [], failed: 'it took longer than 9 s' };
    expect(toMarkdown({ ...run, rows: [failed] })).toContain(
      '| memory | the row runs | it took longer than 9 s | **failed** |',
    );
    expect(toMarkdown({ ...run, rows: [failed] })).toContain('**Failed:** it took longer than 9 s');
    expect(toText(failed)).toContain('FAILED: it took longer than 9 s');
  });

  it('shows machine, peers and what two cores mean, and escapes what would break a table', () => {
    const page = toMarkdown(run);
    expect(page).toContain('| CPU | 2 x a CPU |');
    expect(page).toContain('| bare ws | the floor | everything else |');
    expect(page).toContain('With two cores,');
    expect(page).toContain('a \\| b');
    expect(toMarkdown({ ...run, machine: { ...run.machine, cores: 8 } })).not.toContain('With two cores,');
    expect(page).not.toContain('at the scale');
    expect(toMarkdown({ ...run, scale: 'quick' })).toContain('at the scale "quick"');
  });

  it('keeps a run through JSON', () => {
    expect(runSchema.parse(JSON.parse(JSON.stringify(run)))).toEqual(run);
  });

  it('prints a row for the terminal', () => {
    const text = toText(row);
    expect(text).toContain('missed');
    expect(text).toContain('A note.');
    expect(text).not.toContain('**');
  });

  it('writes figures with their thousands, and a dash for none', () => {
    expect(figure(19_500.4)).toBe('19,500');
    expect(figure(1.005, 1)).toBe('1.0');
    expect(figure(Number.NaN)).toBe('–');
    expect(ranged([3, 1, 2])).toBe('2 (1–3)');
    expect(ranged([2])).toBe('2');
    expect(ranged([])).toBe('–');
  });

  it('keeps the line of a peer that failed as wide as the others', () => {
    expect(failedLine('mosquitto', 'not installed', 4)).toEqual(['mosquitto', 'not installed', '–', '–']);
    expect(failedLine('a', 'x'.repeat(500), 3)[1]?.length).toBeLessThan(200);
  });
});
