/**
 * A hub's address as people write it, `hub:8080` or `hub.example/fleet`, with a scheme: `https` for port 443, else `http`.
 * One that has a scheme stays as it is.
 */
export function withScheme(text: string): string {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return text;
  return `${/^[^/?#]*:443(?![0-9])/.test(text) ? 'https' : 'http'}://${text}`;
}
