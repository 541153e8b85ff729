import type { IncomingMessage } from 'node:http';

/** A name or an address, and a port. */
const hostPattern = /^(?:\[[0-9a-f:.]+\]|[a-z0-9._-]*)(?::\d{0,5})?$/i;

/** A request target in absolute form (RFC 9112, 3.2.2). */
const absolute = /^https?:\/\/([^/?#]*)([^#]*)/i;

/** Why no request of this form is answered, from any client; undefined if it may be. */
export function requestFault({ rawHeaders, headers }: IncomingMessage): string | undefined {
  // A proxy in front may have used the other one.
  if (countOf('host', rawHeaders) > 1) return 'there are two Host headers';
  if (countOf('authorization', rawHeaders) > 1) return 'there are two Authorization headers';
  return hostPattern.test(headers.host ?? '') ? undefined : 'the Host header is not valid';
}

/** `rawHeaders` holds names at even places. */
function countOf(name: string, rawHeaders: readonly string[]): number {
  let count = 0;
  for (let place = 0; place < rawHeaders.length; place += 2) {
    const found = rawHeaders[place] ?? '';
    if (found.length === name.length && found.toLowerCase() === name) count += 1;
  }
  return count;
}

/** A target in absolute form is replaced by its path; the host in it counts, not the header. */
export function acceptAbsoluteForm(request: IncomingMessage): void {
  const found = request.url?.startsWith('/') ? undefined : absolute.exec(request.url ?? '');
  if (!found) return;
  const [, host = '', path = ''] = found;
  request.headers.host = host;
  request.url = path.startsWith('/') ? path : `/${path}`;
}
