import type { FleetStore, FrameNews } from '../store/fleet-store.ts';
import type { Group } from '../store/grouping.ts';
import type { Row } from '../store/rows.ts';
import { type CellSprites, drawSprites } from './cell-sprites.ts';
import { cornerOf, layoutMap, type MapLayout, placeAt } from './map-layout.ts';

/** How long a changed cell is marked. */
const FLASH_MS = 1_100;
/** More changes than this in a frame are a new picture, not flashes. */
const MOST_FLASHES = 2_000;

/** Draws the map: the whole where the layout changed, else only the cells that did. */
export class MapPainter {
  readonly #store: FleetStore;
  readonly #cells: HTMLCanvasElement;
  readonly #marks: HTMLCanvasElement;
  #layout: MapLayout = { pitch: 1, cell: 1, height: 1, blocks: [] };
  #groups: readonly Group[] = [];
  #blockOf = new Map<Group, number>();
  #sprites: CellSprites | undefined;
  #spriteSize = 0;
  /** Ids of changed nodes, and when their mark fades. */
  readonly #flashes = new Map<string, number>();
  #pointed: string | undefined;
  #selected: string | undefined;
  #marking = false;
  #still = false;

  constructor(store: FleetStore, cells: HTMLCanvasElement, marks: HTMLCanvasElement) {
    this.#store = store;
    this.#cells = cells;
    this.#marks = marks;
  }

  get layout(): MapLayout {
    return this.#layout;
  }

  /** Another theme: every colour is read again. */
  forgetColours(): void {
    this.#sprites = undefined;
  }

  /** With `still` nothing moves: a changed cell is not marked. */
  set still(still: boolean) {
    this.#still = still;
  }

  /** Lays out and draws everything. Returns the layout, whose headings are for others to write. */
  paintAll(width: number, height: number): { layout: MapLayout; groups: readonly Group[] } {
    const ratio = window.devicePixelRatio || 1;
    this.#groups = this.#store.grouping.groups;
    this.#blockOf = new Map(this.#groups.map((group, index) => [group, index]));
    this.#layout = layoutMap(
      this.#groups.map(({ places }) => places.length),
      { width, height, ratio },
    );
    for (const canvas of [this.#cells, this.#marks]) {
      canvas.width = Math.max(1, Math.round(width * ratio));
      canvas.height = this.#layout.height;
      canvas.style.height = `${this.#layout.height / ratio}px`;
    }
    this.repaint();
    return { layout: this.#layout, groups: this.#groups };
  }

  /** Draws every cell where it is: another filter, another theme. */
  repaint(): void {
    const pen = this.#cells.getContext('2d');
    const sprites = this.#spritesOf(this.#layout.cell);
    if (!pen || !sprites) return;
    const { width, height } = this.#cells;
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    this.#groups.forEach((group, block) => {
      group.places.forEach((id, index) => {
        const row = id === undefined ? undefined : this.#store.picture.nodes.get(id);
        if (!row) return;
        const { x, y } = this.#corner(block, index);
        stamp(pixels, width, x, y, this.#spriteFor(sprites, row));
      });
    });
    pen.putImageData(image, 0, 0);
    this.#mark();
  }

  /** Draws what changed since the last frame. */
  paintNews({ changes }: FrameNews): void {
    const pen = this.#cells.getContext('2d');
    const sprites = this.#spritesOf(this.#layout.cell);
    if (!pen || !sprites) return;
    const until = performance.now() + FLASH_MS;
    for (const { before, after } of changes) {
      if (!after) continue;
      const corner = this.#cornerOfNode(after.id);
      if (!corner) continue;
      const row = this.#store.picture.nodes.get(after.id) ?? after;
      pen.putImageData(this.#spriteFor(sprites, row), corner.x, corner.y);
      if (before?.status !== after.status && this.#flashes.size < MOST_FLASHES)
        this.#flashes.set(after.id, until);
    }
    this.#mark();
  }

  /** The node under a point of the page, measured from the map's corner. */
  nodeAt(x: number, y: number): string | undefined {
    const ratio = window.devicePixelRatio || 1;
    const found = placeAt(this.#layout, x * ratio, y * ratio);
    return found && this.#groups[found.block]?.places[found.index];
  }

  point(id: string | undefined): void {
    if (id === this.#pointed) return;
    this.#pointed = id;
    this.#mark();
  }

  select(id: string | undefined): void {
    this.#selected = id;
    this.#mark();
  }

  #corner(block: number, index: number): { x: number; y: number } {
    const found = this.#layout.blocks[block];
    return found ? cornerOf(this.#layout, found, index) : { x: 0, y: 0 };
  }

  #cornerOfNode(id: string): { x: number; y: number } | undefined {
    const place = this.#store.grouping.placeOf(id);
    const block = place && this.#blockOf.get(place.group);
    return block === undefined || !place ? undefined : this.#corner(block, place.index);
  }

  #spritesOf(size: number): CellSprites | undefined {
    if (!this.#sprites || this.#spriteSize !== size) {
      this.#sprites = drawSprites(size, getComputedStyle(this.#cells));
      this.#spriteSize = size;
    }
    return this.#sprites;
  }

  #spriteFor(sprites: CellSprites, row: Row): ImageData {
    const { plain, dim } = sprites[row.status];
    return this.#store.rows.matches(row) ? plain : dim;
  }

  /** Draws the marks above the cells, again and again for as long as one fades. */
  #mark(): void {
    if (this.#marking) return;
    this.#marking = true;
    requestAnimationFrame(() => {
      this.#marking = false;
      this.#drawMarks();
      if (this.#flashes.size > 0) this.#mark();
    });
  }

  #drawMarks(): void {
    const pen = this.#marks.getContext('2d');
    if (!pen) return;
    const ratio = window.devicePixelRatio || 1;
    pen.clearRect(0, 0, this.#marks.width, this.#marks.height);
    pen.strokeStyle = getComputedStyle(this.#marks).getPropertyValue('--map-mark');
    const now = performance.now();
    if (this.#still) this.#flashes.clear();
    for (const [id, until] of this.#flashes) {
      const left = (until - now) / FLASH_MS;
      if (left <= 0) this.#flashes.delete(id);
      else {
        pen.globalAlpha = left;
        this.#ring(pen, id, Math.ceil(ratio * (1 + 3 * left)), 1.5 * ratio);
      }
    }
    pen.globalAlpha = 1;
    if (this.#selected !== undefined) this.#ring(pen, this.#selected, 2 * ratio, 2 * ratio);
    if (this.#pointed !== undefined) this.#ring(pen, this.#pointed, ratio, 1.5 * ratio);
  }

  #ring(pen: CanvasRenderingContext2D, id: string, outside: number, line: number): void {
    const corner = this.#cornerOfNode(id);
    if (!corner) return;
    const side = this.#layout.cell + 2 * outside;
    pen.lineWidth = line;
    pen.strokeRect(corner.x - outside, corner.y - outside, side, side);
  }
}

/** Puts a sprite into a picture, line by line. */
function stamp(pixels: Uint32Array, width: number, x: number, y: number, sprite: ImageData): void {
  const from = new Uint32Array(sprite.data.buffer);
  const side = sprite.width;
  for (let line = 0; line < side; line += 1) {
    const at = (y + line) * width + x;
    for (let column = 0; column < side; column += 1) pixels[at + column] = from[line * side + column] ?? 0;
  }
}
