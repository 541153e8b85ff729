import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react';
import type { Filter } from '../../shared/index.ts';
import { filterKey } from '../../shared/index.ts';
import { filterOfGroup } from '../facet-filter.ts';
import { facetName } from '../store/facets.ts';
import type { Group } from '../store/grouping.ts';
import type { ChangeUrl } from '../use-page-url.ts';
import { useMedia, useTopic } from '../use-store.ts';
import { count, nodes } from '../words.ts';
import { GroupPicker } from './group-picker.tsx';
import { MapHeadings } from './map-headings.tsx';
import type { MapLayout } from './map-layout.ts';
import { MapPainter } from './map-painter.ts';
import { MapTip } from './map-tip.tsx';

interface Pointed {
  id: string;
  x: number;
  y: number;
}

/** Every node one cell, in groups, coloured by status. */
export function MapPanel({
  filter,
  selected,
  height,
  change,
}: {
  filter: Filter;
  selected: string | undefined;
  /** What the cells should fit into, if they can; pixels. */
  height: number;
  change: ChangeUrl;
}) {
  const [store, version] = useTopic('fleet');
  const frame = useRef<HTMLDivElement>(null);
  const cells = useRef<HTMLCanvasElement>(null);
  const marks = useRef<HTMLCanvasElement>(null);
  const [painter, setPainter] = useState<MapPainter>();
  const [width, setWidth] = useState(0);
  const [drawn, setDrawn] = useState<{ layout: MapLayout; groups: readonly Group[] }>();
  const [pointed, setPointed] = useState<Pointed>();
  const dark = useMedia('(prefers-color-scheme: dark)');
  const still = useMedia('(prefers-reduced-motion: reduce)');
  const { facet, shape } = store.grouping;
  const key = filterKey(filter);

  useLayoutEffect(() => {
    if (!frame.current || !cells.current || !marks.current) return;
    setPainter(new MapPainter(store, cells.current, marks.current));
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    observer.observe(frame.current);
    return () => observer.disconnect();
  }, [store]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: shape and facet say that the layout is another
  useLayoutEffect(() => {
    if (painter && width > 0) setDrawn(painter.paintAll(width, height));
  }, [painter, width, height, shape, facet]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another filter or theme draws the same cells otherwise
  useEffect(() => {
    painter?.forgetColours();
    painter?.repaint();
  }, [painter, key, dark]);

  useEffect(() => {
    if (painter) painter.still = still;
  }, [painter, still]);

  useEffect(() => painter?.select(selected), [painter, selected]);

  useEffect(() => {
    if (!painter) return;
    return store.listenToNews((news) => {
      if (news.all) painter.repaint();
      else painter.paintNews(news);
    });
  }, [painter, store]);

  const at = useCallback(
    (event: React.PointerEvent | React.MouseEvent): Pointed | undefined => {
      const box = marks.current?.getBoundingClientRect();
      if (!box || !painter) return undefined;
      const [x, y] = [event.clientX - box.left, event.clientY - box.top];
      const id = painter.nodeAt(x, y);
      return id === undefined ? undefined : { id, x, y };
    },
    [painter],
  );
  const point = (to: Pointed | undefined): void => {
    painter?.point(to?.id);
    if (to?.id !== pointed?.id) setPointed(to);
  };

  const { picture, counts } = store;
  const troubled = picture.size - counts.status.online;
  return (
    <section className="panel map-panel" aria-label="Map">
      <div className="panel-head">
        <h2>Map</h2>
        <GroupPicker change={change} version={version} />
      </div>
      <div className="map-scroll">
        <div className="map-frame" ref={frame}>
          {drawn && (
            <MapHeadings
              {...drawn}
              facet={facet}
              onPick={(value) => change({ filter: filterOfGroup(filter, facet, value) }, { push: true })}
            />
          )}
          <canvas ref={cells} className="map-cells" />
          <canvas
            ref={marks}
            className={pointed ? 'map-marks is-pointed' : 'map-marks'}
            role="img"
            aria-label={`${nodes(picture.size)}, one cell each, grouped by ${facet ? facetName(facet) : 'nothing'}; ${count(troubled)} not online. The table below has the same nodes as text.`}
            onPointerMove={(event) => point(at(event))}
            onPointerLeave={() => point(undefined)}
            onClick={(event) => {
              const found = at(event);
              if (found) change({ node: found.id }, { push: true });
            }}
          />
          {pointed && <MapTip {...pointed} frameWidth={width} />}
        </div>
      </div>
    </section>
  );
}
