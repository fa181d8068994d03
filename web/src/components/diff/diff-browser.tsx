import { useVirtualizer } from '@tanstack/react-virtual';
import { ChevronDown, ChevronRight } from 'lucide-react';
import { type RefObject, useMemo, useState } from 'react';
import type { ChangeDiff, FileChange } from '../../../../contract/changes.ts';
import { type PatchLine, parsePatch } from '../../text/parse-patch.ts';
import { PatchLineRow } from './patch-lines.tsx';

type Row =
  | { kind: 'file'; file: FileChange; folded: boolean }
  | { kind: 'line'; line: PatchLine }
  | { kind: 'none'; text: string };

/** A change's diff, file by file, foldable; only what is in view is in the page. */
export function DiffBrowser({
  diff,
  scroller,
}: {
  diff: ChangeDiff;
  scroller: RefObject<HTMLElement | null>;
}) {
  const [folded, setFolded] = useState<ReadonlySet<string>>(() => new Set());
  const [top, setTop] = useState<HTMLDivElement | null>(null);
  const lines = useMemo(
    () => new Map(parsePatch(diff.patch).map((file) => [file.path, file.lines])),
    [diff.patch],
  );
  const rows = useMemo(() => listRows(diff.files, lines, folded), [diff.files, lines, folded]);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => (rows[index]?.kind === 'file' ? 41 : 19),
    getItemKey: (index) => index,
    overscan: 24,
    scrollMargin: top?.offsetTop ?? 0,
  });
  const toggle = (path: string) =>
    setFolded((now) => {
      const next = new Set(now);
      if (!next.delete(path)) next.add(path);
      return next;
    });
  const toFile = (path: string) => {
    const index = rows.findIndex((row) => row.kind === 'file' && row.file.path === path);
    if (index >= 0) virtual.scrollToIndex(index, { align: 'start' });
  };
  return (
    <>
      <FileList files={diff.files} onChoose={toFile} />
      <div ref={setTop} className="relative mt-3 rounded-lg border border-line bg-panel">
        <div className="relative" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const row = rows[item.index];
            if (row === undefined) return null;
            return (
              <div
                key={item.key}
                ref={virtual.measureElement}
                data-index={item.index}
                className="absolute inset-x-0 top-0"
                style={{ transform: `translateY(${item.start - virtual.options.scrollMargin}px)` }}
              >
                {row.kind === 'file' && <FileHeader row={row} onToggle={() => toggle(row.file.path)} />}
                {row.kind === 'line' && <PatchLineRow line={row.line} wide />}
                {row.kind === 'none' && <p className="px-4 py-3 text-sm text-ink-3">{row.text}</p>}
              </div>
            );
          })}
        </div>
      </div>
      {diff.truncated && (
        <p className="mt-2 text-sm text-wait">
          The diff is longer than what is shown here; the rest is in the branch itself.
        </p>
      )}
    </>
  );
}

function listRows(
  files: readonly FileChange[],
  lines: ReadonlyMap<string, PatchLine[]>,
  folded: ReadonlySet<string>,
): Row[] {
  return files.flatMap((file): Row[] => {
    const isFolded = folded.has(file.path);
    const header: Row = { kind: 'file', file, folded: isFolded };
    if (isFolded) return [header];
    if (file.binary) return [header, { kind: 'none', text: 'A binary file: its content is not shown.' }];
    const own = lines.get(file.path) ?? [];
    if (own.length === 0)
      return [header, { kind: 'none', text: 'No line differs, or the lines are not part of this excerpt.' }];
    return [header, ...own.map((line): Row => ({ kind: 'line', line }))];
  });
}

const words: Record<FileChange['status'], string> = {
  added: 'added',
  modified: '',
  deleted: 'deleted',
  renamed: 'renamed',
  copied: 'copied',
  type_changed: 'type changed',
};

function FileHeader({ row, onToggle }: { row: Extract<Row, { kind: 'file' }>; onToggle: () => void }) {
  const { file, folded } = row;
  const Chevron = folded ? ChevronRight : ChevronDown;
  return (
    <h3 className="border-y border-line bg-sunken">
      <button
        type="button"
        onClick={onToggle}
        aria-expanded={!folded}
        className="flex h-10 w-full items-center gap-2 px-3 text-left"
      >
        <Chevron size={14} aria-hidden="true" className="shrink-0 text-ink-3" />
        <span className="min-w-0 truncate font-mono text-sm font-medium">{file.path}</span>
        <span className="text-xs text-ink-3">{words[file.status]}</span>
        <LineCounts file={file} />
      </button>
    </h3>
  );
}

export function LineCounts({ file }: { file: { additions: number; deletions: number } }) {
  return (
    <span className="ml-auto shrink-0 font-mono text-xs">
      <span className="text-ok">+{file.additions}</span> <span className="text-fail">−{file.deletions}</span>
    </span>
  );
}

function FileList({ files, onChoose }: { files: readonly FileChange[]; onChoose: (path: string) => void }) {
  if (files.length < 2) return null;
  return (
    <ul
      aria-label="Files of this change"
      className="max-h-56 overflow-auto rounded-lg border border-line bg-panel py-1"
    >
      {files.map((file) => (
        <li key={file.path}>
          <button
            type="button"
            onClick={() => onChoose(file.path)}
            className="flex w-full items-center gap-3 px-3 py-1 text-left hover:bg-hover"
          >
            <span className="min-w-0 truncate font-mono text-sm">{file.path}</span>
            <span className="text-xs text-ink-3">{words[file.status]}</span>
            <LineCounts file={file} />
          </button>
        </li>
      ))}
    </ul>
  );
}
