/** Endings of files that are endings of domains too: a word such as `README.md` names no host. */
const fileEndings = new Set(
  'md js ts tsx jsx mjs cjs py rs go sh rb pl cc so zip mov json yml yaml toml lock html css txt java php sql xml csv svg png jpg pdf c h'.split(
    ' ',
  ),
);

/** Hosts of the addresses in a text: of URLs, and of `user@host:path` as git and scp take them. */
export function addressedHosts(text: string): string[] {
  const found = new Set<string>();
  for (const [address] of text.matchAll(/\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s"'`<>\\|)\]}]+/giu)) {
    const host = hostOf(address);
    if (host !== null) found.add(host);
  }
  for (const [, host] of text.matchAll(/\b[\w.-]+@([a-z0-9][a-z0-9.-]*\.[a-z]{2,}):/giu)) {
    if (host !== undefined) found.add(host.toLowerCase());
  }
  return [...found];
}

/** Hosts that a person's text names: its addresses, and words that are the name of a host and not of a file. */
export function namedHosts(text: string): string[] {
  const found = new Set(addressedHosts(text));
  const bare = text.replace(/\b[a-z][a-z0-9+.-]{1,20}:\/\/\S+/giu, ' ');
  for (const [word] of bare.matchAll(
    /(?<![\w/.@-])(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,24}(?![\w/-])/giu,
  )) {
    const host = word.toLowerCase();
    if (!fileEndings.has(host.slice(host.lastIndexOf('.') + 1))) found.add(host);
  }
  return [...found];
}

function hostOf(address: string): string | null {
  // Every scheme is read as the special ones are, so that userinfo, ports and encodings are taken apart alike.
  const http = address.replace(/^[a-z][a-z0-9+.-]*:/iu, 'http:');
  return URL.canParse(http) ? new URL(http).hostname.toLowerCase().replace(/\.$/, '') : null;
}
