import { expect, it } from 'vitest';
import { Disruptions } from '../../simulate/disruptions.ts';

it('says when 99 % and when all were back, from when they were free to return', () => {
  const disruption = new Disruptions().begin('a rack', 1_000);
  for (let n = 0; n < 200; n += 1) disruption.lost();
  for (let n = 0; n < 197; n += 1) disruption.back(1_100 + n);
  expect(disruption.nearlyAllMs).toBeUndefined();
  disruption.back(1_500);
  disruption.back(1_600);
  expect([disruption.nearlyAllMs, disruption.allMs]).toEqual([500, undefined]);
  disruption.back(1_700);
  expect([disruption.nearlyAllMs, disruption.allMs]).toEqual([500, 700]);
});

it('is over when those that it still has are back', () => {
  const disruption = new Disruptions().begin('a rack', 0);
  for (let n = 0; n < 3; n += 1) disruption.lost();
  disruption.back(10);
  disruption.back(20);
  expect(disruption.over).toBe(false);
  disruption.overtaken(30);
  expect([disruption.hit, disruption.allMs]).toEqual([2, 30]);
});

it('takes unplanned losses as one until all are back', () => {
  const disruptions = new Disruptions();
  const first = disruptions.unplanned(100);
  first.lost();
  expect(disruptions.unplanned(200)).toBe(first);
  first.back(300);
  expect([first.nearlyAllMs, first.allMs]).toEqual([200, 200]);
  first.lost();
  expect([first.nearlyAllMs, first.allMs]).toEqual([undefined, undefined]);
  first.back(500);
  expect([first.nearlyAllMs, first.allMs]).toEqual([400, 400]);
  expect(disruptions.unplanned(500)).not.toBe(first);
});

it('keeps only so many', () => {
  const disruptions = new Disruptions();
  for (let n = 0; n < 250; n += 1) disruptions.begin('one more', n);
  expect([disruptions.kept.length, disruptions.more]).toEqual([200, 50]);
});
