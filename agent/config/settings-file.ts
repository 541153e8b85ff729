import { parse, type ScalarTag, type Tags } from 'yaml';
import { exactNumberOrText } from '../../shared/index.ts';

/** A settings file: as text, where every bare value is what its author wrote, and as JSON. */
export interface SettingsFile {
  /** For settings that are text: `nodeId: 0012`, `zone: no` and `since: 12:30:00` are these very characters. */
  text: unknown;
  /** For settings that may be any JSON: numbers and booleans, but a number that would lose digits stays text. */
  json: unknown;
}

/**
 * Reads a YAML file. A value that is text must never pass through a number on its way: `1.10` would come out as `1.1`,
 * and an id of `0012` as `12`. Throws where it is no YAML.
 */
export function parseSettingsFile(content: string): SettingsFile {
  return {
    text: parse(content, { customTags: (tags) => tags.map((tag) => readingAs(tag, (source) => source)) }),
    json: parse(content, { customTags: (tags) => tags.map((tag) => readingAs(tag, exactNumberOrText)) }),
  };
}

type Tag = Tags[number];

/** The tag with another reading of what its pattern finds: a number, a boolean, in YAML 1.1 also a date. */
function readingAs(tag: Tag, read: (source: string) => unknown): Tag {
  if (typeof tag === 'string' || !isPattern(tag) || tag.tag === 'tag:yaml.org,2002:null') return tag;
  const asNumber = /:(?:int|float)$/.test(tag.tag);
  // Without a number in it nothing is lost: in the reading as JSON a boolean is one.
  if (read === exactNumberOrText && !asNumber) return tag;
  return { ...tag, resolve: (source: string) => read(source) };
}

const isPattern = (tag: Exclude<Tag, string>): tag is ScalarTag =>
  'test' in tag && tag.test instanceof RegExp && tag.collection === undefined;
