import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { apiReport, publicEntries, reportPath } from '../../scripts/api-report.ts';

describe('the public surface', () => {
  it('has these entries', () => {
    expect(publicEntries().map(({ name }) => name)).toEqual(['agent', 'client', 'shared']);
  });

  it.each(publicEntries())('of rollcall/$name is the one of its report: else `npm run api`', (entry) => {
    expect(apiReport(entry)).toBe(readFileSync(reportPath(entry.name), 'utf8'));
  });

  it.each(publicEntries())('of rollcall/$name has an explanation of each entry', ({ types }) => {
    expect(readFileSync(types, 'utf8')).toMatch(/^\/\*\*\n \* [A-Z]/);
  });
});
