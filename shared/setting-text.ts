import { z } from 'zod';

/** A setting of a program, as its `--help` and docs/SETTINGS.md show it. Code in texts stands in backticks. */
export interface SettingText {
  /** The environment variable. */
  name: string;
  /** With dashes; absent for a token, because every user of a machine sees the command lines of others. */
  flag?: string;
  /** What the flag takes, such as `<port>`; nothing for a flag that is a switch. */
  takes?: string;
  /** What holds without it. */
  byDefault?: string;
  what: string;
  /** The values that are allowed, with their unit. */
  range?: string;
  /** The part of the documentation that says more, relative to docs/. */
  more?: string;
}

/** The description that the schema of a setting's value has, below its default. */
export function rangeOf(schema: z.ZodType): string | undefined {
  const isWrapped = schema instanceof z.ZodDefault || schema instanceof z.ZodExactOptional;
  return z.globalRegistry.get(isWrapped ? schema.unwrap() : schema)?.description;
}

type Described = Pick<SettingText, 'what' | 'range' | 'byDefault'>;

/** What a setting does, in plain text, with its range and its default. */
export function plainOf({ what, range, byDefault }: Described, name?: string): string {
  const origin = [
    ...(name === undefined ? [] : [name]),
    ...(byDefault === undefined ? [] : [`default ${byDefault}`]),
  ];
  const end = origin.length === 0 ? '' : ` (${origin.join(', ')})`;
  return `${[what, ...(range === undefined ? [] : [range])].join('; ')}${end}`.replaceAll('`', '');
}

/** A setting's line in `--help`. */
export const helpOf = (setting: SettingText): string => plainOf(setting, setting.name);
