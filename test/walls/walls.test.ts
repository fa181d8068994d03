import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readImports } from './imports.ts';
import { findViolations, mostLines, walls } from './walls.ts';

const house = join(import.meta.dirname, '../..');

test('every module keeps to its walls', () => {
  const { modules, violations } = findViolations(house);
  expect(violations).toEqual([]);
  expect(modules).toBeGreaterThan(30);
});

describe('a forbidden import is refused', () => {
  let copy: string;
  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), 'walls-'));
    for (const folder of ['contract', 'server']) {
      cpSync(join(house, folder), join(copy, folder), { recursive: true });
    }
  });
  afterAll(() => rmSync(copy, { recursive: true }));

  const planted: [string, string, string, string][] = [
    ['contract', 'contract/planted.ts', '../server/errors.ts', 'nothing of the rest'],
    ['contract', 'contract/planted.ts', 'node:fs', 'packages zod alone'],
    ['contract', 'contract/planted.ts', 'zod-to-x', 'packages zod alone'],
    ['server/open', 'server/log.ts', './database/sql.ts', 'server/open may import contract'],
    ['server/config', 'server/config.ts', './domain/a.ts', 'server/config may import contract'],
    ['server/database', 'server/database/planted.ts', '../../contract/ids.ts', 'nothing of the rest'],
    ['server/events', 'server/events/planted.ts', '../runs/a.ts', 'server/events may import'],
    ['server/runs', 'server/runs/planted.ts', '../domain/a.ts', 'server/runs may import'],
    ['server/backup', 'server/backup/planted.ts', '../domain/a.ts', 'server/backup may import'],
    ['server/jobs', 'server/jobs/planted.ts', '../agent/a.ts', 'server/jobs may import'],
    ['server/models', 'server/models/planted.ts', '../tools/tool.ts', 'server/models may import'],
    ['server/computers', 'server/computers/planted.ts', '../database/sql.ts', 'server/computers may import'],
    ['server/computers', 'server/computers/a/b/planted.ts', '../../../tools/tool.ts', 'server/computers may'],
    ['server/agent', 'server/agent/planted.ts', '../database/sql.ts', 'server/agent may import'],
    ['server/agent', 'server/agent/planted.ts', '../tools/catalogue.ts', 'server/agent may import'],
    ['server/tools', 'server/tools/planted.ts', '../database/sql.ts', 'server/tools may import'],
    ['server/domain', 'server/domain/x/planted.ts', '../../tools/tool.ts', 'server/domain may import'],
    ['server/drivers', 'server/drivers/planted.ts', '../models/model.ts', 'types alone of server/models'],
    ['server/drivers', 'server/drivers/planted.ts', '../http/a.ts', 'server/drivers may import'],
    ['server/telemetry', 'server/telemetry/planted.ts', '../runs/a.ts', 'types alone of server/runs'],
    ['server/http', 'server/http/planted.ts', '../runs/a.ts', 'server/http may import'],
    ['server/http', 'server/http/planted.ts', '../channels/a.ts', 'not server/channels'],
    ['server/mcp', 'server/mcp/planted.ts', '../http/a.ts', 'not server/http'],
    ['server/channels', 'server/channels/planted.ts', '../mcp/a.ts', 'not server/mcp'],
    ['server/domain', 'server/domain/planted.ts', '../computers/sandbox.ts', 'server/domain may import'],
    ['client', 'client/planted.ts', '../server/errors.ts', 'client may import contract'],
    ['client', 'client/planted.ts', 'node:fs', 'packages zod alone'],
    ['web', 'web/planted.tsx', '../server/errors.ts', 'web may import contract'],
    ['cli', 'cli/planted.ts', '../server/errors.ts', 'cli may import contract'],
    ['config', 'server/domain/planted.ts', '../config.ts', 'only app.ts, assembly/ and main.ts'],
    ['test code', 'server/domain/planted.ts', '../../test/start-app.ts', 'nobody imports test code'],
    ['test code', 'server/domain/planted.ts', './a.test.ts', 'nobody imports test code'],
  ];
  test.each(planted)('%s: %s imports %s', (_wall, path, specifier, reason) => {
    const violation = plant(path, `import { x } from '${specifier}';\nexport const y = x;\n`);
    expect(violation).toEqual([expect.stringContaining(reason)]);
    expect(violation[0]).toContain(`imports ${specifier}`);
  });

  test('each wall has its plant', () => {
    const shown = new Set(planted.map(([wall]) => wall));
    expect(Object.keys(walls).filter((wall) => !shown.has(wall))).toEqual([]);
  });

  test('what is allowed passes', () => {
    expect(plant('server/agent/planted.ts', "import type { Tool } from '../tools/tool.ts';\n")).toEqual([]);
    expect(plant('server/domain/planted.ts', "import { x } from '../errors.ts';\n")).toEqual([]);
    expect(plant('server/app.ts', "import { x } from './config.ts';\n")).toEqual([]);
  });

  test('a part without a wall and a file that is too long are refused', () => {
    expect(plant('server/misc/planted.ts', '')).toEqual([expect.stringContaining('no part of the server')]);
    expect(plant('server/planted.ts', '')).toEqual([expect.stringContaining('no part of the server')]);
    const long = plant('cli/planted.ts', '\n'.repeat(mostLines + 1));
    expect(long).toEqual([expect.stringContaining(`${mostLines + 1} lines`)]);
  });

  /** What the planted file alone adds. */
  function plant(path: string, source: string): string[] {
    const place = join(copy, path);
    const before = existsSync(place) ? readFileSync(place) : null;
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, source);
    const { violations } = findViolations(copy);
    if (before) writeFileSync(place, before);
    else rmSync(place);
    return violations.filter((violation) => violation.startsWith(path));
  }
});

test('a house in which no module is seen fails the check', () => {
  const empty = mkdtempSync(join(tmpdir(), 'walls-'));
  expect(() => findViolations(empty)).toThrow('no module was seen');
  rmSync(empty, { recursive: true });
});

test('imports are read however they are written', () => {
  const source = [
    "import a, { b } from './1.ts';",
    "import type { C } from './2.ts';",
    "import {\n  type D,\n  type E,\n} from './3.ts';",
    "import { type F, g } from './4.ts';",
    "export * from './5.ts';",
    "export type { H } from './6.ts';",
    "import './7.ts';",
    "const i = await import('./8.ts');",
    "type J = import('./9.ts').J;",
    "const k = createRequire(import.meta.url); require('./10.ts');",
    "import * as l from './11.ts';",
  ].join('\n');
  const found = readImports(source).sort((a, b) => a.line - b.line);
  expect(found.map(({ specifier, typeOnly }) => `${specifier} ${typeOnly}`)).toEqual([
    './1.ts false',
    './2.ts true',
    './3.ts false',
    './4.ts false',
    './5.ts false',
    './6.ts true',
    './7.ts false',
    './8.ts false',
    './9.ts false',
    './10.ts false',
    './11.ts false',
  ]);
});
