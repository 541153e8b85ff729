import { expect, test } from 'vitest';
import { Roster } from '../../../cli/hub-group/roster.ts';

test('[GROUP-4] a group opens once all its workers were ready', () => {
  const roster = new Roster(2);
  expect(roster.status).toEqual({ wanted: 2, running: 0, ready: 0, open: false });
  roster.listens(1, true);
  expect(roster.status).toMatchObject({ running: 1, ready: 1, open: false });
  roster.listens(2, false);
  expect(roster.status).toMatchObject({ running: 2, ready: 1, open: false });
  roster.isReady(2, true);
  expect(roster.status).toEqual({ wanted: 2, running: 2, ready: 2, open: true });
});

test('[GROUP-4] it stays open without a worker that died, and while another one starts', () => {
  const roster = new Roster(2);
  for (const worker of [1, 2]) roster.listens(worker, true);
  roster.gone(1);
  expect(roster.status).toEqual({ wanted: 2, running: 1, ready: 1, open: true });
  // What was still on its way when it died says nothing.
  roster.isReady(1, true);
  expect(roster.status).toMatchObject({ running: 1 });
  roster.listens(3, true);
  expect(roster.status).toMatchObject({ running: 2, open: true });
});

test('[GROUP-4] it closes while a worker that listens is not ready, or none listens', () => {
  const roster = new Roster(2);
  for (const worker of [1, 2]) roster.listens(worker, true);
  roster.isReady(2, false);
  expect(roster.status).toMatchObject({ running: 2, ready: 1, open: false });
  roster.gone(2);
  expect(roster.status).toMatchObject({ open: true });
  roster.gone(1);
  expect(roster.status).toMatchObject({ running: 0, open: false });
});
