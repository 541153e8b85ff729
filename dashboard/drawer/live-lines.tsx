import { useEffect, useRef, useState } from 'react';
import uPlot from 'uplot';
import type { LiveStats } from '../../shared/index.ts';
import { useMedia } from '../use-store.ts';
import { clockTime, duration, mebibytes, shortTime } from '../words.ts';

const HEIGHT = 128;
/** Points that a line keeps: half an hour at one a second. */
const MOST_POINTS = 1_800;

/** What the lines span at first. */
const NARROWEST_SECONDS = 20;

const LINES = [
  { name: 'CPU', field: 'cpuPercent', colour: '--line-cpu', dash: [] },
  { name: 'Memory', field: 'memoryPercent', colour: '--line-memory', dash: [6, 3] },
  { name: 'Disk', field: 'diskPercent', colour: '--line-disk', dash: [2, 3] },
] as const;

type Points = [number[], ...Array<Array<number | null>>];

function addPoint(points: Points, stats: LiveStats): void {
  const [times] = points;
  const at = Date.parse(stats.lastHeartbeatAt ?? '') / 1_000;
  if (Number.isNaN(at) || at <= (times.at(-1) ?? 0)) return;
  const values = [at, ...LINES.map(({ field }) => stats[field] ?? null)];
  points.forEach((line: Array<number | null>, index) => {
    line.push(values[index] ?? null);
    if (line.length > MOST_POINTS) line.shift();
  });
}

/** Lines of CPU, memory and disk, from when the drawer was opened on. `live`: the node beats, as far as is known now. */
export function LiveLines({ stats, live }: { stats: LiveStats | undefined; live: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const points = useRef<Points>([[], [], [], []]);
  const dark = useMedia('(prefers-color-scheme: dark)');
  const [drawn, setDrawn] = useState(false);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another theme has other colours
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const style = getComputedStyle(element);
    const colour = (name: string): string => style.getPropertyValue(name);
    const axis = {
      stroke: colour('--text-quiet'),
      font: `11px ${style.fontFamily}`,
      grid: { stroke: colour('--hairline'), width: 1 },
      ticks: { show: false },
    };
    const made = new uPlot(
      {
        width: Math.max(120, element.clientWidth),
        height: HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        padding: [8, 14, 0, 0],
        scales: { y: { range: [0, 100] } },
        axes: [
          {
            ...axis,
            values: (_plot, splits) => splits.map((at) => clockTime(at * 1_000)),
            space: 90,
            size: 24,
          },
          { ...axis, values: (_plot, splits) => splits.map((value) => `${value}%`), size: 40 },
        ],
        series: [
          {},
          ...LINES.map(({ name, colour: own, dash }) => ({
            label: name,
            stroke: colour(own),
            width: 1.75,
            dash: [...dash],
            points: { show: false },
          })),
        ],
      },
      points.current,
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() =>
      made.setSize({ width: Math.max(120, element.clientWidth), height: HEIGHT }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [dark]);

  useEffect(() => {
    // The last figures of a node that is gone are no point of a live line.
    if (!stats || !live) return;
    addPoint(points.current, stats);
    setDrawn(true);
    const times = points.current[0];
    const last = times.at(-1) ?? 0;
    plot.current?.setData(points.current, false);
    // Some seconds wide from the first, so that the first points do not leap about.
    const first = times[0] ?? last;
    plot.current?.setScale('x', { min: first, max: Math.max(last, first + NARROWEST_SECONDS) });
  }, [stats, live]);

  const now = (value: number | null | undefined): string =>
    value === null || value === undefined ? '–' : `${Math.round(value)}%`;
  return (
    <section className="lines" data-live={live} aria-label={live ? 'Live figures' : 'Last figures'}>
      {!live && (
        <p className="quiet">
          {stats?.lastHeartbeatAt
            ? `Not live: as of ${shortTime(stats.lastHeartbeatAt)}, its last heartbeat.`
            : 'Not live: no figures are known.'}
        </p>
      )}
      <dl className="figures">
        {LINES.map(({ name, field, colour }) => (
          <div key={field}>
            <dt>
              <svg className="line-key" viewBox="0 0 18 4" aria-hidden="true">
                <path d="M1 2h16" className={`key${colour.slice(1)}`} />
              </svg>
              {name}
            </dt>
            <dd>{now(stats?.[field])}</dd>
          </div>
        ))}
        <div>
          <dt>Memory used</dt>
          <dd>{typeof stats?.memoryUsedMib === 'number' ? mebibytes(stats.memoryUsedMib) : '–'}</dd>
        </div>
        <div>
          <dt>Up for</dt>
          <dd>{typeof stats?.uptimeSeconds === 'number' ? duration(stats.uptimeSeconds) : '–'}</dd>
        </div>
        <div>
          <dt>Last heartbeat</dt>
          <dd>{stats?.lastHeartbeatAt ? shortTime(stats.lastHeartbeatAt) : '–'}</dd>
        </div>
      </dl>
      {/* Without a point there is no time that its axis could show. */}
      <div className="plot" ref={box} aria-hidden="true" hidden={!drawn} />
    </section>
  );
}
