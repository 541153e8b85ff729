/** The values of a comma list, without the spaces around them and without empty ones; `\,` is a comma in a value. */
export function splitList(text: string): string[] {
  return text
    .split(/(?<!\\),/)
    .map((value) => value.replaceAll('\\,', ',').trim())
    .filter((value) => value !== '');
}

/** The same for a flag that may be repeated. */
export const splitLists = (texts: readonly string[]): string[] => texts.flatMap(splitList);
