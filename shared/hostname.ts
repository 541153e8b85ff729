/*
 * Host names are DNS names, or any text. The same name in another spelling is the same machine: `WEB-1` and `web-1.`,
 * `bücher.example` and `xn--bcher-kva.example`, an umlaut as one character or as two.
 */

const asciiName = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?$/;
/** No text is known that needs more than three. */
const MOST_PASSES = 8;
const notAscii = /[^\p{ASCII}]/u;
/** What the URL standard takes for an IPv4 address: `10`, `0x7f.1`; as a host name it is a name. */
const endsInNumber = /(?:^|\.)(?:\d+|0x[0-9a-f]*)\.?$/;

/**
 * The one spelling of a host name: of a DNS name its A-labels in lower case without final dots (UTS 46), of any other
 * text its composed form (NFC).
 */
export function normalHostname(name: string): string {
  const lower = name.toLowerCase();
  if (asciiName.test(lower) && !lower.includes('xn--')) return withoutFinalDots(lower);
  // What the parser makes of odd text (an ignored character before a dot, say) may have another spelling in turn.
  let spelling = name;
  for (let pass = 0; pass < MOST_PASSES; pass += 1) {
    const composed = spelling.normalize('NFC');
    const next = withoutFinalDots(asciiForm(composed) ?? composed);
    if (next === spelling) break;
    spelling = next;
  }
  return spelling;
}

/** All final dots, so that the spelling is its own; a name of dots alone stays. */
function withoutFinalDots(name: string): string {
  let end = name.length;
  while (name.endsWith('.', end)) end -= 1;
  return end === 0 ? name : name.slice(0, end);
}

/** The A-labels of a DNS name; undefined where it is none. */
function asciiForm(name: string): string | undefined {
  // The parser takes more than names: paths, ports, escapes, and numbers for addresses.
  if (/[\s%/\\?#@:[\]<>^|]/.test(name)) return undefined;
  try {
    const { hostname } = new URL(`http://${name}`);
    return hostname === '' || endsInNumber.test(hostname) ? undefined : hostname;
  } catch {
    return undefined;
  }
}

/** Text for comparing: the case does not matter, nor how an accent is composed. */
export const foldText = (text: string): string => text.normalize('NFC').toLowerCase();

/** What a search for a part of a host name looks into: each of its spellings, in lower case. Lines never span two. */
export function hostnameSearchText(name: string): string {
  const folded = `${foldText(name)}.`;
  if (notAscii.test(name)) return `${folded}\n${asciiForm(name) ?? ''}`;
  return folded.includes('xn--') ? `${folded}\n${foldText(unicodeForm(folded))}` : folded;
}

/** A DNS name as people read it: its A-labels decoded, where they can be. */
function unicodeForm(name: string): string {
  return name
    .split('.')
    .map((label) => (label.startsWith('xn--') ? (decodePunycode(label.slice(4)) ?? label) : label))
    .join('.');
}

/** RFC 3492, 5. */
const PUNYCODE = {
  base: 36,
  tMin: 1,
  tMax: 26,
  skew: 38,
  damp: 700,
  initialBias: 72,
  initialN: 128,
} as const;
const MOST_CODE_POINT = 0x10_ff_ff;

/** RFC 3492, 6.2; undefined where the text is not Punycode. */
function decodePunycode(text: string): string | undefined {
  const { base, tMin, tMax, initialBias, initialN } = PUNYCODE;
  const delimiter = text.lastIndexOf('-');
  const output = Array.from(text.slice(0, Math.max(0, delimiter)), (character) => character.charCodeAt(0));
  let [n, bias, i]: [number, number, number] = [initialN, initialBias, 0];
  for (let at = delimiter + 1; at < text.length; ) {
    const before = i;
    for (let weight = 1, k: number = base; ; k += base) {
      const digit = digitOf(text.charCodeAt(at));
      at += 1;
      if (digit === undefined) return undefined;
      i += digit * weight;
      const threshold = Math.min(Math.max(k - bias, tMin), tMax);
      if (digit < threshold) break;
      weight *= base - threshold;
    }
    const length = output.length + 1;
    bias = adaptedBias(i - before, length, before === 0);
    n += Math.floor(i / length);
    i %= length;
    if (n > MOST_CODE_POINT || (n >= 0xd8_00 && n <= 0xdf_ff)) return undefined;
    output.splice(i, 0, n);
    i += 1;
  }
  return String.fromCodePoint(...output);
}

function digitOf(code: number): number | undefined {
  if (code >= 0x61 && code <= 0x7a) return code - 0x61;
  return code >= 0x30 && code <= 0x39 ? code - 0x30 + 26 : undefined;
}

/** RFC 3492, 6.1. */
function adaptedBias(delta: number, length: number, first: boolean): number {
  const { base, tMin, tMax, skew, damp } = PUNYCODE;
  let rest = Math.floor(delta / (first ? damp : 2));
  rest += Math.floor(rest / length);
  let k = 0;
  for (; rest > ((base - tMin) * tMax) / 2; k += base) rest = Math.floor(rest / (base - tMin));
  return k + Math.floor(((base - tMin + 1) * rest) / (rest + skew));
}
