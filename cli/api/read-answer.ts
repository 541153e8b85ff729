import { CLIENT_LIMITS } from '../../shared/index.ts';
import { CommandFailure, EXIT } from './failure.ts';

/** Bytes that the answers of one command may still have together. */
export interface Budget {
  bytes: number;
}

/** A budget for everything that a command keeps. */
export const keptBudget = (): Budget => ({ bytes: CLIENT_LIMITS.keptBytes });

const MIB = 1024 * 1024;

/** The text of an answer. It is read no further than the bounds, however much comes or is unpacked. */
export async function readAnswer(
  response: { body: AsyncIterable<Uint8Array> | null },
  budget: Budget | undefined,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    const most = Math.min(CLIENT_LIMITS.answerBytes, budget?.bytes ?? Number.POSITIVE_INFINITY);
    if (bytes > most) throw tooMuch(budget && most === budget.bytes ? CLIENT_LIMITS.keptBytes : most);
    chunks.push(chunk);
  }
  if (budget) budget.bytes -= bytes;
  return Buffer.concat(chunks).toString();
}

function tooMuch(bytes: number): CommandFailure {
  return new CommandFailure(
    EXIT.unreachable,
    `the hub answers with more than ${bytes / MIB} MiB, which is not read: select fewer nodes, or ask another hub`,
  );
}
