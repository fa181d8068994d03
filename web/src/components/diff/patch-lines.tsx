import { useVirtualizer } from '@tanstack/react-virtual';
import { useRef } from 'react';
import type { PatchLine } from '../../text/parse-patch.ts';
import { plainText } from '../../text/plain-text.ts';

const grounds: Record<PatchLine['kind'], string> = {
  add: 'bg-add',
  remove: 'bg-del',
  hunk: 'bg-sunken text-ink-3',
  note: 'text-ink-3 italic',
  context: '',
};
const signs: Record<PatchLine['kind'], string> = { add: '+', remove: '−', hunk: '', note: '', context: ' ' };

/** One line of a diff, wrapped where it is too long. */
export function PatchLineRow({ line, wide = false }: { line: PatchLine; wide?: boolean }) {
  return (
    <div
      className={`grid ${wide ? 'grid-cols-[44px_44px_18px_1fr]' : 'grid-cols-[36px_36px_16px_1fr]'} font-mono text-xs leading-[1.65] ${grounds[line.kind]}`}
    >
      <span className="pr-2 text-right text-ink-3 select-none">{line.before}</span>
      <span className="pr-2 text-right text-ink-3 select-none">{line.after}</span>
      <span className="text-center select-none" aria-hidden="true">
        {signs[line.kind]}
      </span>
      <span className="min-w-0 pr-3 break-words whitespace-pre-wrap [overflow-wrap:anywhere]">
        {line.kind === 'add' && <span className="sr-only">added: </span>}
        {line.kind === 'remove' && <span className="sr-only">removed: </span>}
        {plainText(line.text)}
      </span>
    </div>
  );
}

const fewLines = 240;

/** The lines of a diff inside a step's details; long ones scroll in a window of their own. */
export function PatchLines({ lines, label }: { lines: readonly PatchLine[]; label: string }) {
  if (lines.length > fewLines) return <LongPatch lines={lines} label={label} />;
  return (
    <section aria-label={label}>
      {lines.map((line, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines of a finished diff never move
        <PatchLineRow key={index} line={line} />
      ))}
    </section>
  );
}

function LongPatch({ lines, label }: { lines: readonly PatchLine[]; label: string }) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => 19,
    overscan: 20,
  });
  return (
    <section
      ref={scroller}
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
      tabIndex={0}
      className="max-h-[60vh] overflow-auto"
    >
      <div className="relative" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const line = lines[item.index];
          return (
            <div
              key={item.key}
              ref={virtual.measureElement}
              data-index={item.index}
              className="absolute inset-x-0 top-0"
              style={{ transform: `translateY(${item.start}px)` }}
            >
              {line !== undefined && <PatchLineRow line={line} />}
            </div>
          );
        })}
      </div>
    </section>
  );
}
