import { Argument, Command } from 'commander';
import { STATUSES } from '../shared/index.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** Values of flags that have a few, besides those that their commands name themselves. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  '--status': STATUSES,
  '--for': [...STATUSES, 'removed'],
  '--log-level': ['debug', 'info', 'warn', 'error', 'silent'],
};

/** A command by its path (`/nodes/ls`; the program is empty): what may follow it. */
interface Entry {
  path: string;
  commands: readonly string[];
  flags: readonly string[];
  values: ReadonlyMap<string, readonly string[]>;
}

/** `rollcall completion bash|zsh|fish`: prints a script, made of the commands and flags that there are. */
export function completionCommand(loadAll: () => Promise<Command[]>): Command {
  return new Command('completion')
    .exitOverride()
    .description('print a script that completes commands, flags and their values')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .addHelpText(
      'after',
      `
Examples:
  $ rollcall completion bash > /etc/bash_completion.d/rollcall
  $ rollcall completion zsh >> ~/.zshrc
  $ rollcall completion fish > ~/.config/fish/completions/rollcall.fish`,
    )
    .action(async (shell: (typeof SHELLS)[number]) => {
      const program = new Command('rollcall');
      for (const command of await loadAll()) program.addCommand(command);
      const entries = entriesOf(program, '');
      process.stdout.write(shell === 'fish' ? fishScript(entries) : bashScript(entries, shell === 'zsh'));
    });
}

function entriesOf(command: Command, path: string): Entry[] {
  const options = command.options.filter(({ hidden }) => !hidden);
  const values = options.map(({ long, argChoices }): [string, readonly string[]] => [
    long ?? '',
    argChoices ?? VALUES[long ?? ''] ?? [],
  ]);
  const shells = command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices);
  return [
    {
      path,
      commands: [...command.commands.map((one) => one.name()), ...shells],
      flags: [...options.flatMap(({ long }) => (long ? [long] : [])), '--help'],
      values: new Map(values.filter(([, choices]) => choices.length > 0)),
    },
    ...command.commands.flatMap((one) => entriesOf(one, `${path}/${one.name()}`)),
  ];
}

/** zsh runs the same, by its own emulation of bash's completion. */
function bashScript(entries: readonly Entry[], zsh: boolean): string {
  const paths = entries.flatMap(({ path }) => (path === '' ? [] : [path]));
  const values = entries.flatMap(({ path, values }) =>
    Array.from(values, ([flag, choices]) => `    '${path}:${flag}') words='${choices.join(' ')}' ;;`),
  );
  const words = entries.map(
    ({ path, commands, flags }) => `    '${path}:') words='${[...commands, ...flags].join(' ')}' ;;`,
  );
  return `${zsh ? 'autoload -U +X bashcompinit && bashcompinit\n' : ''}_rollcall() {
  local current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" path='' words='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path/\${COMP_WORDS[i]}" in
      ${paths.join('|')}) path="$path/\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$path:$before" in
${values.join('\n')}
  esac
  [ -n "$words" ] || case "$path:" in
${words.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _rollcall rollcall
`;
}

function fishScript(entries: readonly Entry[]): string {
  const lines = ['complete -c rollcall -f'];
  for (const { path, commands, flags, values } of entries) {
    const names = path.split('/').filter((name) => name !== '');
    const seen = names.map((name) => `__fish_seen_subcommand_from ${name}`).join('; and ');
    const when = names.length === 0 ? '__fish_use_subcommand' : seen;
    if (commands.length > 0) lines.push(`complete -c rollcall -n '${when}' -a '${commands.join(' ')}'`);
    for (const flag of flags) {
      const choices = values.get(flag);
      lines.push(
        `complete -c rollcall -n '${when}' -l ${flag.slice(2)}${choices ? ` -x -a '${choices.join(' ')}'` : ''}`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}
