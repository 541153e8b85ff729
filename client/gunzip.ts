/** Unpacks a gzip stream to text, in the browser and in Node. Rejects where it is broken, or larger than `mostBytes`. */
export async function gunzipText(bytes: Uint8Array<ArrayBuffer>, mostBytes: number): Promise<string> {
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  let left = mostBytes;
  const bounded = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      left -= chunk.byteLength;
      if (left < 0) controller.error(new RangeError('the page is too large'));
      else controller.enqueue(chunk);
    },
  });
  return new Response(unpacked.pipeThrough(bounded)).text();
}
