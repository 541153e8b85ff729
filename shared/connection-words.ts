/**
 * Why a connection could not be made, in words that tell what to mend, with the code of Node or OpenSSL behind them.
 * Where the code is not known, the error's own message. Codes: https://nodejs.org/api/errors.html and
 * https://nodejs.org/api/tls.html#x509-certificate-error-codes.
 */
export function connectionWords(error: unknown): string {
  const root = rootOf(error);
  if (root === undefined) return String(error);
  const code = codeOf(root);
  const words = code === undefined ? undefined : WORDS[code];
  if (words !== undefined) return `${words} (${code})`;
  // https://fetch.spec.whatwg.org/#port-blocking, which browsers follow too.
  if (root.message === 'bad port')
    return 'HTTP clients and browsers refuse this port; give the hub another one (bad port)';
  return root.message === '' ? (code ?? root.name) : root.message;
}

/** Whether the server was reached and its certificate or its TLS is what is wrong: trying again does not mend that. */
export function isTlsProblem(error: unknown): boolean {
  const root = rootOf(error);
  const code = root && codeOf(root);
  return code !== undefined && Object.hasOwn(TLS_WORDS, code);
}

const NOT_TRUSTED =
  'its certificate comes from an authority that is not trusted here; NODE_EXTRA_CA_CERTS=ca.pem adds one';
const NO_TLS = 'no TLS is spoken there';

const TLS_WORDS: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: NOT_TRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: NOT_TRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: NOT_TRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: NOT_TRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: NOT_TRUSTED,
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: "its certificate is not valid yet; is this machine's clock right?",
  CERT_REVOKED: 'its certificate was revoked',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'it asks for a certificate of the client',
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'it speaks another version of TLS',
  EPROTO: 'TLS could not be agreed on; is it spoken there?',
};

const WORDS: Readonly<Record<string, string>> = {
  ...TLS_WORDS,
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  UND_ERR_SOCKET: 'the connection was cut',
  ENOTFOUND: 'there is no host of that name',
  EAI_AGAIN: 'the host name cannot be resolved now',
  ETIMEDOUT: 'no answer',
  UND_ERR_CONNECT_TIMEOUT: 'no answer',
  UND_ERR_HEADERS_TIMEOUT: 'no answer',
  EHOSTUNREACH: 'no way leads to that address',
  ENETUNREACH: 'no way leads to that address',
  EACCES: 'this user may not connect there',
  EMFILE: 'this process has too many open files',
};

/** The innermost error: fetch wraps it as a cause, and an attempt at several addresses as a list. */
function rootOf(error: unknown, depth = 0): Error | undefined {
  if (!(error instanceof Error)) return undefined;
  if (depth > 4) return error;
  const inner = error instanceof AggregateError ? error.errors.at(-1) : error.cause;
  return rootOf(inner, depth + 1) ?? error;
}

function codeOf(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
