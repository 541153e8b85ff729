const KEY = 'rollcall.token';

/** The token of this tab, until it is closed; it never stands in the address. */
export function storedToken(): string | undefined {
  try {
    return window.sessionStorage.getItem(KEY) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Remembers the token for reloads of this tab, where the browser lets us; undefined forgets it. */
export function storeToken(token: string | undefined): void {
  try {
    if (token === undefined) window.sessionStorage.removeItem(KEY);
    else window.sessionStorage.setItem(KEY, token);
  } catch {
    // Without storage the token is asked for again after a reload.
  }
}
