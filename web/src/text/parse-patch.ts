export interface PatchLine {
  kind: 'context' | 'add' | 'remove' | 'hunk' | 'note';
  before: number | null;
  after: number | null;
  text: string;
}

export interface PatchFile {
  path: string;
  lines: PatchLine[];
}

/** Reads a unified diff, of one file or of many. What is no part of it is left out. */
export function parsePatch(patch: string): PatchFile[] {
  const files: PatchFile[] = [];
  let file: PatchFile | null = null;
  let before = 0;
  let after = 0;
  let left = { before: 0, after: 0 };
  for (const line of patch.split('\n')) {
    const inHunk = left.before > 0 || left.after > 0;
    if (!inHunk && line.startsWith('diff --git ')) {
      file = { path: headerPath(line), lines: [] };
      files.push(file);
      continue;
    }
    if (!inHunk && (line.startsWith('--- ') || line.startsWith('+++ '))) {
      const path = namedPath(line);
      if (file === null || (line.startsWith('--- ') && file.lines.some((one) => one.kind === 'hunk'))) {
        file = { path: path ?? '', lines: [] };
        files.push(file);
      } else if (path !== null) file.path = path;
      continue;
    }
    const hunk = inHunk ? null : line.match(/^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)$/);
    if (hunk) {
      file ??= push(files, { path: '', lines: [] });
      before = Number(hunk[1]);
      after = Number(hunk[3]);
      left = { before: Number(hunk[2] ?? 1), after: Number(hunk[4] ?? 1) };
      file.lines.push({ kind: 'hunk', before: null, after: null, text: line });
      continue;
    }
    if (file === null) continue;
    if (line.startsWith('\\')) {
      file.lines.push({ kind: 'note', before: null, after: null, text: line.slice(2) });
    } else if (inHunk && line.startsWith('+')) {
      file.lines.push({ kind: 'add', before: null, after: after++, text: line.slice(1) });
      left.after -= 1;
    } else if (inHunk && line.startsWith('-')) {
      file.lines.push({ kind: 'remove', before: before++, after: null, text: line.slice(1) });
      left.before -= 1;
    } else if (inHunk) {
      file.lines.push({ kind: 'context', before: before++, after: after++, text: line.slice(1) });
      left = { before: left.before - 1, after: left.after - 1 };
    } else if (/^(Binary files|new file|deleted file|rename |old mode|new mode|similarity)/.test(line)) {
      file.lines.push({ kind: 'note', before: null, after: null, text: line });
    }
  }
  return files;
}

export function countLines(lines: readonly PatchLine[]): { added: number; removed: number } {
  let added = 0;
  let removed = 0;
  for (const line of lines) {
    if (line.kind === 'add') added += 1;
    if (line.kind === 'remove') removed += 1;
  }
  return { added, removed };
}

function push(files: PatchFile[], file: PatchFile): PatchFile {
  files.push(file);
  return file;
}

/** `diff --git a/one b/one`: both halves are the same where the file was not renamed. */
function headerPath(line: string): string {
  const same = line.match(/^diff --git a\/(.*) b\/\1$/);
  return same?.[1] ?? unquote(line.replace(/^.* (?="?b\/)/, '')).replace(/^b\//, '');
}

function namedPath(line: string): string | null {
  const name = unquote(line.slice(4).replace(/\t.*$/, ''));
  return name === '/dev/null' ? null : name.replace(/^[ab]\//, '');
}

function unquote(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1) : name;
}
