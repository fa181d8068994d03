import { useVirtualizer } from '@tanstack/react-virtual';
import { ArrowDown } from 'lucide-react';
import { useEffect, useLayoutEffect, useRef, useState } from 'react';
import type { RunTranscript } from '../../api/run-transcript.ts';
import { Button } from '../ui/button.tsx';
import { StepRow } from './step-row.tsx';

interface TranscriptProps {
  transcript: RunTranscript;
  selected: number | null;
  moving: boolean;
  onSelect: (seq: number) => void;
}

/** The steps of a run; only those in view are in the page, and the view follows the end while it is there. */
export function Transcript({ transcript, selected, moving, onSelect }: TranscriptProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const [atEnd, setAtEnd] = useState(true);
  const count = transcript.count;
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => 30,
    getItemKey: (index) => index + 1,
    anchorTo: 'end',
    followOnAppend: true,
    scrollEndThreshold: 80,
    overscan: 10,
  });
  const items = virtual.getVirtualItems();
  const first = (items[0]?.index ?? 0) + 1;
  const last = (items.at(-1)?.index ?? 0) + 1;
  useEffect(() => {
    if (count > 0) transcript.ensure(first, last);
  }, [transcript, first, last, count]);
  const started = count > 0;
  useLayoutEffect(() => {
    if (started) virtual.scrollToEnd();
  }, [virtual, started]);
  useEffect(() => {
    if (selected !== null) virtual.scrollToIndex(selected - 1, { align: 'auto' });
  }, [virtual, selected]);
  return (
    <div className="relative min-h-0 flex-1">
      <section
        ref={scroller}
        aria-label="Transcript"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
        tabIndex={0}
        className="h-full overflow-auto pb-3"
        onScroll={() => setAtEnd(virtual.isAtEnd())}
      >
        <ol className="relative" style={{ height: virtual.getTotalSize() }}>
          {items.map((item) => {
            const seq = item.index + 1;
            return (
              <li
                key={item.key}
                ref={virtual.measureElement}
                data-index={item.index}
                aria-setsize={count}
                aria-posinset={seq}
                className="absolute inset-x-0 top-0"
                style={{ transform: `translateY(${item.start}px)` }}
              >
                <StepRow
                  seq={seq}
                  step={transcript.step(seq)}
                  placeholder={transcript.placeholder(seq)}
                  live={transcript.liveText(seq)}
                  selected={seq === selected}
                  moving={moving}
                  onSelect={onSelect}
                />
              </li>
            );
          })}
        </ol>
      </section>
      {!atEnd && count > 0 && (
        <Button
          className="absolute bottom-3 left-1/2 -translate-x-1/2 shadow-lg"
          onClick={() => virtual.scrollToEnd()}
        >
          <ArrowDown size={13} aria-hidden="true" /> To the end
        </Button>
      )}
    </div>
  );
}
