import { useEffect, useRef } from 'react';

export type Hotkeys = Record<string, (event: KeyboardEvent) => void>;

/**
 * Keys without a modifier (`j`, `?`, `escape`; in lower case), chords (`g n`) and `mod+k`. They are silent while somebody
 * writes or a dialog is open; `mod+…` always works.
 */
export function useHotkeys(keys: Hotkeys, enabled = true): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    if (!enabled) return;
    let first = { key: '', at: 0 };
    const handle = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing || event.altKey) return;
      const name = event.key.toLowerCase();
      const run = (combination: string): boolean => {
        const action = latest.current[combination];
        if (action === undefined) return false;
        event.preventDefault();
        action(event);
        return true;
      };
      if (event.ctrlKey || event.metaKey) {
        run(`mod+${name}`);
        return;
      }
      if (isWriting(event.target) || document.querySelector('[role=dialog]') !== null) return;
      const chord = event.timeStamp - first.at < 1_200 && run(`${first.key} ${name}`);
      first = chord ? { key: '', at: 0 } : { key: name, at: event.timeStamp };
      if (!chord) run(name);
    };
    addEventListener('keydown', handle);
    return () => removeEventListener('keydown', handle);
  }, [enabled]);
}

function isWriting(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && target.closest('input, textarea, select, [contenteditable]') !== null
  );
}
