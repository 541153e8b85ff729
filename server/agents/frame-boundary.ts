/** Of the first byte of a frame: whether it ends its message, and whether it is a control frame, which is in none. */
const FINAL = 0x80;
const CONTROL = 0x08;

/**
 * Follows where messages begin and end in what an agent sends (RFC 6455, sections 5.2 and 5.4), without looking into
 * them. It reads no more than the heads of frames, so that ws stays the only one who judges what a frame says.
 */
export class FrameBoundary {
  /** Payload bytes of the current frame that are still to come. */
  #payload = 0;
  /** Bytes of the current head that came, and the length that they tell so far. */
  #head = 0;
  #length = 0;
  #lengthBytes = 0;
  /** A message came of which further fragments follow. */
  #open = false;

  /** The next byte begins a frame, and no fragment. */
  get here(): boolean {
    return this.#payload === 0 && this.#head === 0 && !this.#open;
  }

  /** A chunk went on to ws. */
  passed(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#payload > 0) {
        const taken = Math.min(this.#payload, chunk.length - at);
        this.#payload -= taken;
        at += taken;
      } else {
        this.#headByte(chunk[at] ?? 0);
        at += 1;
      }
    }
  }

  #headByte(byte: number): void {
    this.#head += 1;
    if (this.#head === 1) {
      if ((byte & CONTROL) === 0) this.#open = (byte & FINAL) === 0;
      return;
    }
    if (this.#head === 2) {
      const short = byte & 0x7f;
      this.#lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0;
      this.#length = this.#lengthBytes > 0 ? 0 : short;
    } else if (this.#head <= 2 + this.#lengthBytes) {
      this.#length = this.#length * 256 + byte;
    }
    // An agent's frames are masked: four bytes more. ws ends a socket whose frames are not.
    if (this.#head < 2 + this.#lengthBytes + 4) return;
    this.#payload = this.#length;
    this.#head = 0;
  }
}
