const secretNames: readonly RegExp[] = [
  /^\.env(\..+)?$/,
  /^\.envrc$/,
  /^\.(npmrc|yarnrc|pypirc|netrc|pgpass|git-credentials|htpasswd|dockercfg)$/,
  /^id_(rsa|dsa|ecdsa|ed25519)(\..+)?$/,
  /\.(pem|key|p12|pfx|jks|keystore|kdbx|asc|gpg|ppk)$/,
  /^(credentials|secrets?|passwords?|tokens?)(\.(json|ya?ml|toml|ini|txt|env|csv|xml|properties))?$/,
  /^(service-?account|client_secret|firebase-adminsdk).*\.json$/,
  /^kubeconfig$/,
  /\.tfstate(\.backup)?$/,
];
const secretFolders = new Set([
  '.ssh',
  '.aws',
  '.gnupg',
  '.azure',
  '.kube',
  '.docker',
  'secrets',
  'private-keys',
]);
/** Shown to everybody, by their names. */
const harmless = /\.(example|sample|template|dist|pub)$/;

/** Whether a file holds a secret by its name: `.env`, a private key, a token file, what lies in `.ssh` and the like. */
export function isSecretPath(path: string): boolean {
  const parts = path
    .toLowerCase()
    .split('/')
    .filter((part) => part !== '' && part !== '.');
  const name = parts.at(-1) ?? '';
  if (harmless.test(name)) return false;
  return (
    secretNames.some((pattern) => pattern.test(name)) ||
    parts.slice(0, -1).some((part) => secretFolders.has(part))
  );
}

/** What may be a path in a call's arguments: those that are called so, and the words of a command. */
export function pathsIn(input: unknown): string[] {
  if (typeof input !== 'object' || input === null) return [];
  const found: string[] = [];
  for (const [name, value] of Object.entries(input)) {
    if (typeof value !== 'string') continue;
    if (/^(path|file|folder|directory|glob|source|target|from|to)$/.test(name)) found.push(value);
    if (name === 'command')
      found.push(...value.split(/[\s"'`;&|()<>=,:@{}$]+/).filter((word) => word !== ''));
  }
  return found;
}
