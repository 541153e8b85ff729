/** Variables that hold a secret themselves, not the path of a file that does. */
const secretName = /(?:^|_)(?:TOKENS?|SECRETS?|PASSWORD)$|^REDIS_URL$/;

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The environment of this process, from which its secrets are then taken away: whatever it starts, itself or through a
 * library, would inherit them.
 */
export function takeEnvironment(): Environment {
  const environment = { ...process.env };
  for (const name of Object.keys(secretsOf(environment))) delete process.env[name];
  return environment;
}

/** The secrets of an environment, for a worker, which is this very program. */
export function secretsOf(environment: Environment): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) =>
      value !== undefined && secretName.test(name) ? [[name, value]] : [],
    ),
  );
}
