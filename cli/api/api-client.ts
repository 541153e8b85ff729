import { z } from 'zod';
import { connectionWords } from '../../shared/index.ts';
import { readHubAccess } from '../hub-access.ts';
import { readerGone } from '../lost-output.ts';
import { type Ask, loadProxies } from '../proxy.ts';
import { UsageError } from '../usage-error.ts';
import { CommandFailure, EXIT } from './failure.ts';
import { type Budget, readAnswer } from './read-answer.ts';

/** How long a hub may take for one answer. */
const ANSWER_WITHIN_MS = 15_000;

const problemSchema = z.looseObject({
  code: z.string(),
  detail: z.string(),
  path: z.string().exactOptional(),
});

/** What is said outside, so that tests can listen. */
export interface Io {
  env: Readonly<Record<string, string | undefined>>;
  out(text: string): void;
  err(text: string): void;
  exit(code: number): void;
  /** Columns of the terminal; none where the output goes elsewhere. */
  columns?: number | undefined;
  /** Resolves when nobody reads what is said outside any more. */
  readerGone(): Promise<void>;
}

/** The process's own. */
export const processIo: Io = {
  env: process.env,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  exit: (code) => {
    process.exitCode = code;
  },
  columns: process.stdout.isTTY ? process.stdout.columns : undefined,
  readerGone,
};

/** A hub's API. Every failure is a `CommandFailure` with the exit code that a script can tell it by. */
export class ApiClient {
  readonly #url: string;
  readonly #token: string | undefined;
  readonly #env: Io['env'];
  readonly #signal: AbortSignal | undefined;
  #ways: Promise<Ask> | undefined;

  /** `signal` ends what is asked, however far it is. */
  constructor(hub: string | undefined, env: Io['env'], signal?: AbortSignal) {
    const { hubUrl, token } = readHubAccess(hub, env);
    this.#url = hubUrl;
    this.#token = token;
    this.#env = env;
    this.#signal = signal;
  }

  /** `budget` bounds several answers that are kept together. */
  get<T extends z.ZodType>(path: string, schema: T, budget?: Budget): Promise<z.output<T>> {
    return this.#ask('GET', path, schema, budget);
  }

  delete<T extends z.ZodType>(path: string, schema: T): Promise<z.output<T>> {
    return this.#ask('DELETE', path, schema);
  }

  async #ask<T extends z.ZodType>(
    method: string,
    path: string,
    schema: T,
    budget?: Budget,
  ): Promise<z.output<T>> {
    const { status, text } = await this.#exchange(method, path, budget);
    const body = parsed(text);
    if (status >= 400) throw failureOf(status, body);
    const read = schema.safeParse(body);
    if (read.success) return read.data;
    throw new CommandFailure(EXIT.unreachable, `${this.#url} does not answer like a Rollcall hub`);
  }

  /** How the hub is asked: through a proxy, where the environment names one. */
  #way(): Promise<Ask> {
    this.#ways ??= loadProxies(this.#env).then(({ askFor }) => askFor(this.#url));
    return this.#ways;
  }

  /** A request and the text of its answer, all of it within the deadline. */
  async #exchange(method: string, path: string, budget: Budget | undefined) {
    try {
      const ask = await this.#way();
      const response = await ask(`${this.#url}${path}`, {
        method,
        headers: this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` },
        signal: AbortSignal.any([
          AbortSignal.timeout(ANSWER_WITHIN_MS),
          ...(this.#signal ? [this.#signal] : []),
        ]),
      });
      return { status: response.status, text: await readAnswer(response, budget) };
    } catch (error) {
      if (error instanceof CommandFailure || error instanceof UsageError) throw error;
      throw new CommandFailure(EXIT.unreachable, `cannot reach ${this.#url}: ${causeOf(error)}`);
    }
  }
}

function causeOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError')
    return `no whole answer within ${ANSWER_WITHIN_MS / 1_000} s`;
  return connectionWords(error);
}

/** Nothing where it is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function failureOf(status: number, body: unknown): CommandFailure {
  const problem = problemSchema.safeParse(body);
  const detail = problem.success ? problem.data.detail : `the hub answered ${status}`;
  if (status === 401 || status === 403) {
    return new CommandFailure(EXIT.refused, `${detail} (set ROLLCALL_TOKEN or ROLLCALL_TOKEN_FILE)`);
  }
  const path = problem.data?.path;
  const said = { status, ...(path !== undefined && { path }) };
  if (status === 421)
    return new CommandFailure(EXIT.unreachable, `${detail} (set ROLLCALL_URL to another)`, said);
  if (status === 404 || status === 410 || status === 412) return new CommandFailure(EXIT.none, detail, said);
  if (status < 500) return new CommandFailure(EXIT.usage, detail, said);
  return new CommandFailure(EXIT.unreachable, detail, said);
}
