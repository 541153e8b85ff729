import { CLIENT_LIMITS } from '../../shared/index.ts';

/** Unpacks a gzip stream to text. Rejects where it is broken, or larger than a message may be. */
export async function gunzipText(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  let left: number = CLIENT_LIMITS.messageBytes;
  const bounded = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      left -= chunk.byteLength;
      if (left < 0) controller.error(new RangeError('the page is too large'));
      else controller.enqueue(chunk);
    },
  });
  return new Response(unpacked.pipeThrough(bounded)).text();
}
