/** One import of a module; dynamic ones and those in types count. */
export interface Import {
  specifier: string;
  /** Spelt `import type`: nothing is loaded. `import { type A }` still loads the module. */
  typeOnly: boolean;
  line: number;
}

const statement = /(?<![\w$.])(?:import|export)\s+(type\s+)?[\w$*,\s{}'"-]*?\bfrom\s*(['"])([^'"\n]+)\2/g;
const sideEffect = /(?<![\w$.])import\s*(['"])([^'"\n]+)\1/g;
const call = /(?<![\w$.])(?:import|require(?:\.resolve)?)\s*\(\s*(['"`])([^'"`\n]+)\1/g;

/**
 * Reads a module's imports by their spelling. An import within a comment or string is seen too, which is
 * a false alarm at worst; it never misses one.
 */
export function readImports(source: string): Import[] {
  const lineOf = (index: number) => source.slice(0, index).split('\n').length;
  const found: Import[] = [];
  for (const match of source.matchAll(statement)) {
    const [, type, , specifier = ''] = match;
    found.push({ specifier, typeOnly: Boolean(type), line: lineOf(match.index) });
  }
  for (const pattern of [sideEffect, call]) {
    for (const match of source.matchAll(pattern)) {
      found.push({ specifier: match[2] ?? '', typeOnly: false, line: lineOf(match.index) });
    }
  }
  return found;
}
