/*
 * Characters that a name or a message must not hold: a terminal obeys the control characters (C0, DEL, C1), and the
 * bidirectional marks and line separators make a line read otherwise than it is written. They are refused where text
 * comes in, and written as `\u009b` where it goes to a terminal or a log: older records may still hold them.
 */
const control = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;
const controlBesidesLines = /[^\P{Cc}\t\n\r]|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

/** The same, unpaired surrogates, and U+FEFF, which shows as nothing. */
const unprintable = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu;
const unprintableBesidesLines = /[^\P{Cc}\t\n]|[\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu;

/** Whether a text in one line holds a control or bidirectional formatting character. */
export const hasControl = (text: string): boolean => control.test(text);

/** The same of free text, which may have several lines and tabs. */
export const hasControlBesidesLines = (text: string): boolean => controlBesidesLines.test(text);

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Text in one line as a terminal may show it: `\u001b[2J` instead of a cleared screen. */
export const printable = (text: string): string => text.replace(unprintable, escaped);

/** The same of text in several lines, such as a table or the trace of an error; also of JSON, which it leaves the same. */
export const printableLines = (text: string): string => text.replace(unprintableBesidesLines, escaped);
