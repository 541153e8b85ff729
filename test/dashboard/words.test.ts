import { describe, expect, it } from 'vitest';
import { freshness } from '../../dashboard/freshness.ts';
import { layoutMap, placeAt } from '../../dashboard/map/map-layout.ts';
import { formatPageUrl, readPageUrl } from '../../dashboard/page-url.ts';
import { ChangeFeed } from '../../dashboard/store/change-feed.ts';
import type { LinkState } from '../../dashboard/store/fleet-store.ts';
import { rowsAsCsv, rowsAsJson } from '../../dashboard/table/export-rows.ts';
import { clockTime, shortTime, statusSentence, wholeTime } from '../../dashboard/words.ts';
import { fleetNode, someInstant } from '../support/fixtures.ts';
import { next, row } from './rows.ts';

describe('the address of the page', () => {
  it('says everything that one looks at, and nothing where all is as ever', () => {
    const search =
      '?status=offline&kind=gpu&label=zone%3Da&q=web&sort=-since&group=label%3Arack&view=table&feed=trouble&node=n1';
    expect(formatPageUrl(readPageUrl(search))).toBe(search);
    expect(formatPageUrl(readPageUrl('?sort=status&view=overview&group=nonsense&view=nonsense'))).toBe('');
  });

  it('says what is wrong with a filter instead of showing everything without a word', () => {
    expect(readPageUrl('?status=oflline').problem).toMatch(/^status/);
    expect(readPageUrl('?zone=a').problem).toBeDefined();
    expect(readPageUrl('?status=offline').problem).toBeUndefined();
  });

  it('keeps the rest of a filter of which one part cannot be read', () => {
    const { filter, problem } = readPageUrl(
      '?status=oflline&kind=gpu&zone=a&label=rack%3Dr1&label=b%20d%3Dx&q=web',
    );
    expect(problem).toMatch(/^(status|labels|filter)/);
    expect(filter).toMatchObject({ kind: ['gpu'], q: 'web' });
    expect(filter.status).toBeUndefined();
    expect(readPageUrl('?zone=a&q=web').filter).toEqual({ q: 'web' });
  });
});

describe('a status in a sentence', () => {
  it('has its reason and its evidence', () => {
    const at = new Date().toISOString();
    const node = fleetNode({
      id: 'n',
      status: 'offline',
      reason: 'heartbeat_timeout',
      statusSince: at,
      evidence: { detail: 'no heartbeat for 30s', lastHeartbeatAt: at, hubId: 'hub-2' },
    });
    const time = clockTime(at);
    expect(statusSentence(node)).toBe(
      `Offline since ${time}: no heartbeat for 30 s; last one ${time} over hub-2.`,
    );
  });
});

describe('a status whose node registered again since', () => {
  const statusSince = '2026-03-01T10:00:00.000Z';
  const evidence = { hubId: 'hub-2' };
  const facts = { id: 'n', status: 'online', statusSince, evidence } as const;

  it.each([
    ['reconnected', '2026-03-01T12:00:00.000Z', '. Last change .*: its agent came back over hub-2'],
    ['reconnected', '2026-03-01T09:00:00.000Z', ': its agent came back over hub-2'],
    ['registered', statusSince, ': its agent registered over hub-2'],
    ['store_restored', statusSince, '. Last change: put back after the store had lost it'],
  ] as const)('%s, registered %s', (reason, registeredAt, words) => {
    const sentence = statusSentence(fleetNode({ ...facts, reason, registeredAt }));
    expect(sentence).toMatch(new RegExp(`^Online since .*${words}\\.$`));
  });
});

describe('a time', () => {
  it('has its day where that is not today, and its year where that is not this one', () => {
    const now = new Date(2026, 2, 3, 12).getTime();
    expect(shortTime(new Date(2026, 2, 3, 9, 5, 7).getTime(), now)).toBe('09:05:07');
    expect(shortTime(new Date(2026, 1, 28, 9, 5, 7).getTime(), now)).toBe('28 Feb 09:05');
    expect(shortTime(new Date(2025, 11, 31, 9, 5, 7).getTime(), now)).toBe('31 Dec 2025 09:05');
    expect(shortTime('nonsense', now)).toBe('--:--:--');
  });

  it('has its zone in full', () => {
    expect(wholeTime(new Date(2026, 2, 3, 9, 5, 7).getTime())).toMatch(/^3 Mar 2026,? .*09:05:07 GMT/);
    expect(wholeTime('nonsense')).toBe('');
  });
});

describe('how fresh the picture is', () => {
  const hub = { state: 'live', since: someInstant, hubs: 1 } as const;
  const at = Date.parse(someInstant);
  const states: LinkState[] = [
    { kind: 'live' },
    { kind: 'away', since: at, why: 'the connection broke' },
    { kind: 'resyncing', since: at, reason: 'a gap' },
    { kind: 'connecting', since: at, why: undefined },
    { kind: 'loading', received: 1, total: 2 },
    { kind: 'refused', code: 'token_wrong' },
  ];

  it('has a word of its own for each state', () => {
    const words = states.map((link) => freshness({ link, hub, heardAt: at, pictured: true }).word);
    const stale = { ...hub, state: 'stale' } as const;
    words.push(freshness({ link: { kind: 'live' }, hub: stale, heardAt: at, pictured: true }).word);
    expect(new Set(words).size).toBe(words.length);
  });

  it('is never newer than what was heard', () => {
    const away = freshness({
      link: { kind: 'away', since: at, why: 'x' },
      hub,
      heardAt: at + 5_000,
      pictured: true,
    });
    expect(away.asOf).toBe(at);
  });
});

describe('the feed of changes', () => {
  it('tells many changes of one cause in a second as one, with what they have in common', () => {
    const feed = new ChangeFeed();
    for (let index = 0; index < 212; index += 1) {
      const labels = { zone: 'b', rack: `r${index % 3}` };
      feed.push(next(row(`n${index}`, { labels }), 'unreachable'));
    }
    feed.push({ ...next(row('later'), 'offline'), at: '2026-03-01T12:00:01.000Z' });
    const [newest, many] = feed.groups('all', () => true, 10);
    expect(newest).toMatchObject({ count: 1, newest: { nodeId: 'later' } });
    expect(many).toMatchObject({ count: 212, shared: { facet: 'label:zone', value: 'b' } });
    expect(feed.groups('recovered', () => true, 10)).toEqual([]);
    expect(feed.groups('trouble', ({ labels }) => labels.rack === 'r0', 10)).toMatchObject([{ count: 71 }]);
  });

  it('puts the history before what came since, each change once', () => {
    const feed = new ChangeFeed();
    const lost = next(row('n'), 'unreachable');
    feed.push(lost);
    feed.addHistory([lost, { ...next(row('m'), 'offline'), at: '2026-03-01T11:59:00.000Z' }]);
    expect(feed.groups('all', () => true, 10).map(({ newest }) => newest.nodeId)).toEqual(['n', 'm']);
  });

  it('counts a change once, however often it comes, and shows each node in the order of its versions', () => {
    const feed = new ChangeFeed();
    const at = (second: number) => `2026-03-01T12:00:0${second}.000Z`;
    const lost = { ...next(row('n'), 'unreachable'), at: at(1) };
    const gone = { ...next(lost.node, 'offline', 'heartbeat_timeout'), at: at(4) };
    const other = { ...next(row('m'), 'unreachable'), at: at(2) };
    // As after a hub's restart: a new picture, and the log once more, one shard after the other.
    for (const event of [lost, gone, other, lost, gone, other]) feed.push(event);
    feed.addHistory([gone, other, lost]);
    expect(feed.total).toBe(3);
    const shown = feed
      .groups('all', () => true, 10)
      .map(({ newest, count }) => [newest.nodeId, newest.to, count]);
    expect(shown).toEqual([
      ['n', 'offline', 1],
      ['m', 'unreachable', 1],
      ['n', 'unreachable', 1],
    ]);
  });

  it('shows versions in order also where the clock that dates them stepped back', () => {
    const feed = new ChangeFeed();
    const lost = { ...next(row('n'), 'unreachable'), at: '2026-03-01T12:00:09.000Z' };
    const gone = { ...next(lost.node, 'offline', 'heartbeat_timeout'), at: '2026-03-01T12:00:01.000Z' };
    feed.push(lost);
    feed.push(gone);
    expect(feed.groups('all', () => true, 10).map(({ newest }) => newest.to)).toEqual([
      'offline',
      'unreachable',
    ]);
  });

  it('keeps an outage through a storm of other changes', () => {
    const feed = new ChangeFeed();
    feed.push(next(row('lost'), 'offline', 'heartbeat_timeout'));
    let flapping = row('flaps');
    for (let change = 0; change < 10_000; change += 1) {
      const event = next(flapping, change % 2 === 0 ? 'degraded' : 'online', 'condition_failed');
      flapping = event.node;
      feed.push({ ...event, at: new Date(Date.UTC(2026, 2, 1, 13) + change).toISOString() });
    }
    for (const kind of ['all', 'trouble'] as const) {
      const nodes = feed.groups(kind, () => true, 80).map(({ newest }) => newest.nodeId);
      expect(nodes, kind).toContain('lost');
    }
  });

  it('that is held still hears a search, and nothing new', () => {
    const feed = new ChangeFeed();
    feed.push(next(row('a'), 'offline'));
    feed.push(next(row('b'), 'unreachable'));
    const still = feed.still();
    feed.push(next(row('c'), 'offline'));
    const ids = (matches: (id: string) => boolean) =>
      still.groups('all', ({ id }) => matches(id), 10).map(({ newest }) => newest.nodeId);
    expect(ids(() => true).sort()).toEqual(['a', 'b']);
    expect(ids((id) => id === 'b')).toEqual(['b']);
    expect(feed.total - still.total).toBe(1);
  });
});

describe('rows as CSV', () => {
  it('quotes what must be quoted, and runs nothing in a spreadsheet', () => {
    const [, line] = rowsAsCsv([row('n', { hostname: '=cmd("x"), y', labels: { zone: 'a' } })]).split('\r\n');
    expect(line).toContain(`"'=cmd(""x""), y"`);
    expect(line).toContain('zone=a');
  });

  it.each(['=1+1', '+1', '-1', '@sum', ' =1', '\t=1', '＝1'])(
    '[TERM-4] %j is no formula in a spreadsheet',
    (hostname) => {
      const [, line = ''] = rowsAsCsv([row('n', { hostname })]).split('\r\n');
      expect(line.split(',')[3]).not.toMatch(/^[\s"]*[=+\-@＝]/);
    },
  );

  it('[TERM-4] holds no control characters, whatever a record holds', () => {
    const rows = [row('n', { hostname: 'a\u009b2J\r\nb\u202e', labels: { zone: '\u001b[2J' } })];
    expect(rowsAsCsv(rows).replaceAll('\r\n', '')).not.toMatch(/[\p{Cc}\u202e]/u);
    expect(rowsAsJson(rows)).not.toMatch(/[\u007f-\u009f\u202e]/u);
    expect(JSON.parse(rowsAsJson(rows))).toEqual(rows);
  });
});

describe('the layout of the map', () => {
  it('puts fifty thousand cells within the width, each at a place of its own', () => {
    const places = [20_000, 29_000, 1_000];
    const layout = layoutMap(places, { width: 1_400, height: 900, ratio: 1 });
    expect(layout.height).toBeLessThanOrEqual(900);
    const seen = new Set<string>();
    for (const [index, block] of layout.blocks.entries()) {
      expect(block.x + block.columns * layout.pitch).toBeLessThanOrEqual(1_400);
      seen.add(`${block.x} ${block.y}`);
      expect(placeAt(layout, block.x + 1, block.cellsY + 1)).toEqual({ block: index, index: 0 });
    }
    expect(seen.size).toBe(places.length);
    expect(placeAt(layout, -5, -5)).toBeUndefined();
  });
});
