type Listener<Args extends unknown[]> = (...args: Args) => void;

/** Events by name, for the browser and Node alike. `Events` maps each name to the arguments of its listeners. */
export class Emitter<Events extends { [Name in keyof Events]: unknown[] }> {
  readonly #listeners: { [Name in keyof Events]?: Set<Listener<Events[Name]>> } = {};

  /** Calls `listener` at each event of this name. Returns the end of it. */
  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): () => void {
    const listeners = this.#listeners[name] ?? new Set();
    this.#listeners[name] = listeners;
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** Calls `listener` at the next event of this name only. Returns the end of it. */
  once<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): () => void {
    const end = this.on(name, (...args) => {
      end();
      listener(...args);
    });
    return end;
  }

  protected emit<Name extends keyof Events>(name: Name, ...args: Events[Name]): void {
    for (const listener of [...(this.#listeners[name] ?? [])]) listener(...args);
  }
}
