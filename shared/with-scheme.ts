/**
 * A hub's address as people write it, `hub:8080` or `hub.example/fleet`, with a scheme: `https` for port 443, else `http`.
 * One that has a scheme stays as it is.
 */
export function withScheme(text: string): string {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return text;
  return `${/^[^/?#]*:443(?![0-9])/.test(text) ? 'https' : 'http'}://${text}`;
}

/** An address as an error or a log may show it: without the name and password that it may hold before an `@`. */
export const withoutSecret = (address: string): string =>
  address.replace(/^([a-z][a-z0-9+.-]*:\/\/)?[^/?#]*@/i, '$1…@');
