/** A key, as a hint beside what it does; not for phones, and not read out. */
export function Kbd({ children, inverted = false }: { children: string; inverted?: boolean }) {
  return (
    <span aria-hidden="true" className="hidden md:inline">
      <kbd
        className={`rounded border border-b-2 px-1 font-mono text-[10.5px] leading-4 font-medium ${
          inverted ? 'border-current text-current opacity-70' : 'border-line-control bg-panel text-ink-3'
        }`}
      >
        {children}
      </kbd>
    </span>
  );
}

/** What stands for Ctrl on this machine. */
export function modifierKey(): string {
  return /Mac|iPhone|iPad/.test(navigator.userAgent) ? '⌘' : 'Ctrl ';
}
