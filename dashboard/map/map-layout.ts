/** A group's rectangle on the map. Pixels of the device. */
export interface Block {
  x: number;
  /** Of its heading; the cells begin below it. */
  y: number;
  cellsY: number;
  columns: number;
  width: number;
}

export interface MapLayout {
  /** From one cell to the next. */
  pitch: number;
  /** The side of one cell. */
  cell: number;
  height: number;
  blocks: Block[];
}

export interface MapSpace {
  /** Pixels of the page. */
  width: number;
  /** What it should fit into, if it can. */
  height: number;
  /** Pixels of the device in one of the page. */
  ratio: number;
}

/** From one cell to the next, in pixels of the page, the most comfortable first. */
const PITCHES = [34, 30, 26, 24, 22, 20, 18, 16, 14, 12, 10, 9, 8, 7, 6, 5, 4] as const;
const HEADING = 26;
const COLUMN_GAP = 22;
const ROW_GAP = 12;
/** A heading needs room for its words. */
const NARROWEST = 108;

const gapFor = (pitch: number): number => (pitch >= 14 ? 3 : pitch >= 8 ? 2 : 1);

/**
 * Lays the groups out in columns of one width, so that headings align and a group is one block. Takes the
 * largest cells with which everything fits, or the smallest where nothing does.
 */
export function layoutMap(places: readonly number[], { width, height, ratio }: MapSpace): MapLayout {
  const most = Math.max(
    1,
    Math.min(places.length, Math.floor((width + COLUMN_GAP) / (NARROWEST + COLUMN_GAP))),
  );
  let best = { height: Number.POSITIVE_INFINITY, columns: 1, pitch: PITCHES[0] as number };
  for (const pitch of PITCHES) {
    best = { ...best, height: Number.POSITIVE_INFINITY };
    for (let columns = 1; columns <= most; columns += 1) {
      const total = heightOf(places, pitch, columns, width);
      if (total <= best.height) best = { height: total, columns, pitch };
    }
    if (best.height <= height) break;
  }
  return place(places, best.pitch, best.columns, width, ratio);
}

const cellsIn = (pitch: number, columns: number, width: number): number =>
  Math.max(1, Math.floor((width - COLUMN_GAP * (columns - 1)) / columns / pitch));

function heightOf(places: readonly number[], pitch: number, columns: number, width: number): number {
  const cells = cellsIn(pitch, columns, width);
  let total = 0;
  for (let from = 0; from < places.length; from += columns) {
    let longest = 0;
    for (let index = from; index < from + columns; index += 1)
      longest = Math.max(longest, places[index] ?? 0);
    total += HEADING + Math.ceil(longest / cells) * pitch + ROW_GAP;
  }
  return total;
}

function place(
  places: readonly number[],
  pitchOfPage: number,
  columns: number,
  width: number,
  ratio: number,
): MapLayout {
  const pitch = Math.max(2, Math.floor(pitchOfPage * ratio));
  const cell = Math.max(1, pitch - Math.max(1, Math.round(gapFor(pitchOfPage) * ratio)));
  const cells = cellsIn(pitchOfPage, columns, width);
  const columnWidth = Math.floor((width - COLUMN_GAP * (columns - 1)) / columns + COLUMN_GAP) * ratio;
  const blocks: Block[] = [];
  let y = 0;
  for (let from = 0; from < places.length; from += columns) {
    let bottom = y;
    for (let index = from; index < Math.min(from + columns, places.length); index += 1) {
      const cellsY = Math.round(y + HEADING * ratio);
      const x = Math.round((index - from) * columnWidth);
      blocks.push({ x, y, cellsY, columns: cells, width: Math.round(columnWidth - COLUMN_GAP * ratio) });
      bottom = Math.max(bottom, cellsY + Math.ceil((places[index] ?? 0) / cells) * pitch);
    }
    y = Math.round(bottom + ROW_GAP * ratio);
  }
  return { pitch, cell, height: Math.max(1, y), blocks };
}

/** The corner of a place. */
export function cornerOf({ pitch }: MapLayout, block: Block, index: number): { x: number; y: number } {
  return {
    x: block.x + (index % block.columns) * pitch,
    y: block.cellsY + Math.floor(index / block.columns) * pitch,
  };
}

/** Which block and place is under a point; undefined where there is none. */
export function placeAt(
  layout: MapLayout,
  x: number,
  y: number,
): { block: number; index: number } | undefined {
  const { pitch, blocks } = layout;
  for (let index = blocks.length - 1; index >= 0; index -= 1) {
    const block = blocks[index];
    if (!block || y < block.cellsY || x < block.x) continue;
    const column = Math.floor((x - block.x) / pitch);
    if (column >= block.columns) continue;
    return { block: index, index: Math.floor((y - block.cellsY) / pitch) * block.columns + column };
  }
  return undefined;
}
