import { nothingHappens, type ProfileKind } from './profile.ts';

/** All agents beat, and nothing else happens: what a fleet costs that is left alone. */
export const steady: ProfileKind = {
  name: 'steady',
  defaults: {},
  describe: () => 'all agents beat, and nothing else happens',
  begin: () => nothingHappens,
};
