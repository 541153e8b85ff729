/** How many agents a worker holds. */
export interface Load {
  worker: number;
  agents: number;
}

/** Agents of one worker that are to come again, so that another may get them. */
export interface Move {
  worker: number;
  agents: number;
}

/** Loads that differ from the mean by less are even enough: a tenth of it, and a few agents in any case. */
const EVEN_PART = 0.1;
const EVEN_AGENTS = 4;
/** A step moves a quarter of what one has too many, up to a limit: moving is work too, and there is no hurry. */
const STEP_PART = 0.25;
const MOST_A_STEP = 250;

/** Which workers have too many agents, and how many of those are to move in this step. */
export function decideMoves(loads: readonly Load[]): Move[] {
  const mean = loads.reduce((sum, { agents }) => sum + agents, 0) / loads.length;
  const even = Math.max(EVEN_AGENTS, EVEN_PART * mean);
  return loads
    .filter(({ agents }) => agents - mean > even)
    .map(({ worker, agents }) => ({
      worker,
      agents: Math.min(MOST_A_STEP, Math.ceil((agents - mean) * STEP_PART)),
    }));
}
