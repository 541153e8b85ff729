import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** An agent in a process of its own, to be killed as the kernel kills one. */
export async function startAgentProcess(hubUrl: string, nodeId: string): Promise<{ kill(): Promise<void> }> {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', 'cli/main.ts', 'agent', '--hub', hubUrl, '--node-id', nodeId],
    { env: { PATH: process.env.PATH ?? '', LOG_LEVEL: 'info' }, stdio: 'ignore' },
  );
  running.add(child);
  child.once('exit', () => running.delete(child));
  return {
    kill: async () => {
      if (!running.has(child)) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}
