import type { ButtonHTMLAttributes, ReactNode } from 'react';
import { classNames } from './class-names.ts';

export type ButtonLook = 'plain' | 'primary' | 'ghost' | 'danger';

const looks: Record<ButtonLook, string> = {
  plain: 'border-line-control bg-panel text-ink hover:bg-hover',
  primary: 'border-ink bg-ink text-bg hover:opacity-90',
  ghost: 'border-transparent text-ink-2 hover:bg-hover hover:text-ink',
  danger: 'border-line-control bg-panel text-fail hover:border-fail hover:bg-fail-soft',
};

const shape =
  'inline-flex items-center justify-center gap-1.5 whitespace-nowrap rounded-md border px-2.5 text-sm font-medium transition-colors duration-100 disabled:cursor-not-allowed disabled:opacity-55 h-9 md:h-7';

export function buttonClass(look: ButtonLook = 'plain', extra = ''): string {
  return classNames(shape, looks[look], extra);
}

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: ButtonLook;
  /** True while what it started is under way. */
  busy?: boolean;
  children: ReactNode;
}

export function Button({
  look = 'plain',
  busy = false,
  className,
  children,
  disabled,
  ...rest
}: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      disabled={disabled === true || busy}
      aria-busy={busy || undefined}
      className={buttonClass(look, className)}
    >
      {busy && <Turning />}
      {children}
    </button>
  );
}

function Turning() {
  return (
    <svg viewBox="0 0 16 16" className="size-3 animate-turn" aria-hidden="true">
      <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" strokeWidth="2" opacity=".25" />
      <path d="M8 2a6 6 0 0 1 6 6" fill="none" stroke="currentColor" strokeWidth="2" strokeLinecap="round" />
    </svg>
  );
}
