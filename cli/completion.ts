import { Argument, Command, type Option } from 'commander';
import { NODE_SORT_KEYS, STATUSES } from '../shared/index.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** Values of flags that have a few, besides those that their commands name themselves; the longest path counts. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  '--status': STATUSES,
  '--for': [...STATUSES, 'removed'],
  '--sort': NODE_SORT_KEYS.flatMap((key) => [key, `-${key}`]),
  '--log-level': ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
  '/agent:--log-level': ['debug', 'info', 'warn', 'error', 'silent'],
  '--serve': ['all', 'agents', 'dashboards'],
  '--docs': ['yes', 'no'],
};

/** What follows a flag, or a command: words of a list, names of nodes, a file, or what nobody knows. */
type Values = readonly string[] | 'nodes' | 'file' | 'anything';

/** A command by its path (`/nodes/ls`; the program is empty): what may follow it. */
interface Entry {
  path: string;
  commands: readonly string[];
  flags: readonly string[];
  /** Of the flags that take one. */
  values: ReadonlyMap<string, Values>;
  /** Whether it takes nodes. */
  nodes: boolean;
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
  const taking = options.filter(({ required, optional }) => required || optional);
  const names = command.registeredArguments;
  const commands = command
    .createHelp()
    .visibleCommands(command)
    .filter((one) => one.name() !== 'help');
  return [
    {
      path,
      commands: [...commands.map((one) => one.name()), ...names.flatMap(({ argChoices = [] }) => argChoices)],
      flags: [...options.flatMap(({ long }) => (long ? [long] : [])), '--help'],
      values: new Map(taking.flatMap((one) => namesOf(one).map((name) => [name, valuesOf(one, path)]))),
      nodes: names.some((name) => /^nodes?$/.test(name.name())),
    },
    ...commands.flatMap((one) => entriesOf(one, `${path}/${one.name()}`)),
  ];
}

const namesOf = ({ long, short }: Option): string[] => [long ?? [], short ?? []].flat();

function valuesOf({ long, flags, argChoices }: Option, path: string): Values {
  const known = argChoices ?? VALUES[`${path}:${long}`] ?? VALUES[`${long}`];
  if (known) return known;
  if (flags.includes('<node>')) return 'nodes';
  return flags.includes('<file>') ? 'file' : 'anything';
}

/** zsh runs the same, by its own emulation of bash's completion. */
function bashScript(entries: readonly Entry[], zsh: boolean): string {
  const paths = entries.flatMap(({ path }) => (path === '' ? [] : [path]));
  const values = entries.flatMap(({ path, values }) =>
    Array.from(values, ([flag, what]) => `    '${path}:${flag}') ${bashValues(what)} ;;`),
  );
  const words = entries.map(({ path, commands, flags, nodes }) => {
    const set = `choices='${[...commands, ...flags].join(' ')}'`;
    return `    '${path}:') ${nodes ? `kind=nodes ` : ''}${set} ;;`;
  });
  return `${zsh ? 'autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n' : ''}_rollcall() {
  # zsh has its own \`path\` and \`words\`.
  local current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" at='' choices='' kind='' hub='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at/\${COMP_WORDS[i]}" in
      ${paths.join('|')}) at="$at/\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$at:$before" in
${values.join('\n')}
  esac
  [ -n "$kind$choices" ] || case "$at:" in
${words.join('\n')}
  esac
  case "$kind:$current" in
    nodes:-*) ;;
    nodes:*)
      case "$COMP_LINE" in *' --hub'[=\\ ]*) hub="\${COMP_LINE##* --hub?}" hub="\${hub%% *}" ;; esac
      choices="$(command rollcall nodes names \${hub:+--hub "$hub"} -- "$current" 2>/dev/null)" ;;
    file:*) COMPREPLY=($(compgen -f -- "$current")); return ;;
    anything:*) choices='' ;;
  esac
  COMPREPLY=($(compgen -W "$choices" -- "$current"))
}
complete -F _rollcall rollcall
`;
}

const bashValues = (values: Values): string =>
  typeof values === 'string' ? `kind=${values}` : `choices='${values.join(' ')}'`;

const FISH_NODES = `function __rollcall_nodes
  set -l hub (string match -rg -- ' --hub[= ](\\S+)' (commandline -pc))
  command rollcall nodes names (test -n "$hub"; and echo -- "--hub=$hub[-1]") -- (commandline -ct) 2>/dev/null
end`;

function fishScript(entries: readonly Entry[]): string {
  const lines = [FISH_NODES, 'complete -c rollcall -f'];
  for (const { path, commands, flags, values, nodes } of entries) {
    const names = path.split('/').filter((name) => name !== '');
    const seen = names.map((name) => `__fish_seen_subcommand_from ${name}`);
    const before = commands.length > 0 ? [`not __fish_seen_subcommand_from ${commands.join(' ')}`] : [];
    const when = names.length === 0 ? '__fish_use_subcommand' : [...seen, ...before].join('; and ');
    if (commands.length > 0) lines.push(`complete -c rollcall -n '${when}' -a '${commands.join(' ')}'`);
    if (nodes) lines.push(`complete -c rollcall -n '${when}' -a '(__rollcall_nodes)'`);
    for (const flag of flags) {
      lines.push(`complete -c rollcall -n '${when}' -l ${flag.slice(2)}${fishValues(values.get(flag))}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function fishValues(values: Values | undefined): string {
  if (values === undefined) return '';
  if (values === 'nodes') return " -x -a '(__rollcall_nodes)'";
  if (values === 'file') return ' -r -F';
  return values === 'anything' ? ' -x' : ` -x -a '${values.join(' ')}'`;
}
