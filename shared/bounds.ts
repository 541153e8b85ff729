/*
 * What a client takes from a hub at the most: a hub, or a server in its place, must not be able to fill a client's
 * memory. Far above what a hub sends.
 */
export const CLIENT_LIMITS = {
  /** One message of the dashboard's wire, also once it is unpacked: hubs send pages and batches of about 256 KiB. */
  messageBytes: 16 * 1024 * 1024,
  /** One answer over HTTP: a page of whole nodes of an older hub is up to 35 MB. */
  answerBytes: 64 * 1024 * 1024,
  /** Everything that is kept at a time: a list, a picture. */
  keptBytes: 512 * 1024 * 1024,
  /** Nodes that are kept at a time. */
  keptNodes: 1_000_000,
  /** Pages of one picture: of 256 KiB each they hold eight times what is kept. */
  pages: 16_384,
  /** How long the next page of a picture may take, milliseconds. */
  pageWithinMs: 30_000,
} as const;
