import type { Status } from '../../shared/index.ts';

/** The picture of one cell, ready to be put down. */
export type CellSprites = Readonly<Record<Status, { plain: ImageData; dim: ImageData }>>;

/** How much is left of a cell that the filter does not want. */
const DIM = 0.16;

type Draw = (pen: OffscreenCanvasRenderingContext2D, size: number) => void;

function box(pen: OffscreenCanvasRenderingContext2D, size: number, inset = 0): void {
  const side = size - 2 * inset;
  pen.beginPath();
  pen.roundRect(inset, inset, side, side, size >= 6 ? Math.max(1, side * 0.2) : 0);
}

/** A shape of its own for each status; the smallest cells still differ in how much of them is filled. */
const shapes: Readonly<Record<Status, Draw>> = {
  online: (pen, size) => {
    box(pen, size);
    pen.fill();
  },
  degraded: (pen, size) => {
    if (size < 6) {
      box(pen, size);
      pen.fill();
      return;
    }
    pen.beginPath();
    pen.moveTo(size / 2, 0);
    pen.lineTo(size, size);
    pen.lineTo(0, size);
    pen.closePath();
    pen.fill();
  },
  unreachable: (pen, size) => {
    const line = Math.max(1, Math.round(size / 7));
    pen.lineWidth = line;
    box(pen, size, line / 2);
    pen.stroke();
  },
  offline: (pen, size) => {
    box(pen, size);
    pen.fill();
    if (size < 6) return;
    pen.globalCompositeOperation = 'destination-out';
    pen.globalAlpha = 1;
    pen.lineWidth = Math.max(1, size / 7);
    const near = size * 0.3;
    const far = size * 0.7;
    pen.beginPath();
    pen.moveTo(near, near);
    pen.lineTo(far, far);
    pen.moveTo(far, near);
    pen.lineTo(near, far);
    pen.stroke();
  },
};

/** Draws the cells once, at the size of the device's pixels, in the colours of the style sheet. */
export function drawSprites(size: number, style: CSSStyleDeclaration): CellSprites {
  const canvas = new OffscreenCanvas(size, size);
  const draw = (status: Status, alpha: number): ImageData => {
    const pen = canvas.getContext('2d', { willReadFrequently: true });
    if (!pen) throw new Error('this browser has no canvas');
    pen.clearRect(0, 0, size, size);
    pen.save();
    pen.globalAlpha = alpha;
    pen.fillStyle = style.getPropertyValue(`--map-${status}`);
    pen.strokeStyle = pen.fillStyle;
    shapes[status](pen, size);
    pen.restore();
    return pen.getImageData(0, 0, size, size);
  };
  const both = (status: Status) => ({ plain: draw(status, 1), dim: draw(status, DIM) });
  return {
    online: both('online'),
    degraded: both('degraded'),
    unreachable: both('unreachable'),
    offline: both('offline'),
  };
}
