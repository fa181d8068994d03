import {
  type InputHTMLAttributes,
  type ReactNode,
  type SelectHTMLAttributes,
  type TextareaHTMLAttributes,
  useId,
} from 'react';
import { classNames } from './class-names.ts';

const control =
  'w-full rounded-md border border-line-strong bg-panel px-2.5 text-ink placeholder:text-ink-3 disabled:opacity-60';
const code = 'font-mono text-sm';

interface Shared {
  label: string;
  hint?: ReactNode;
  error?: string | undefined;
  mono?: boolean;
}

export function TextField({
  label,
  hint,
  error,
  mono = false,
  ...input
}: Shared & InputHTMLAttributes<HTMLInputElement>) {
  const id = useId();
  return (
    <Field id={id} label={label} hint={hint} error={error}>
      <input
        autoComplete="off"
        spellCheck={false}
        {...input}
        id={id}
        aria-describedby={`${id}-hint`}
        aria-invalid={error !== undefined || undefined}
        className={classNames(control, 'h-10 md:h-8', mono && code)}
      />
    </Field>
  );
}

export function TextArea({
  label,
  hint,
  error,
  mono = false,
  ...input
}: Shared & TextareaHTMLAttributes<HTMLTextAreaElement>) {
  const id = useId();
  return (
    <Field id={id} label={label} hint={hint} error={error}>
      <textarea
        rows={4}
        {...input}
        id={id}
        aria-describedby={`${id}-hint`}
        aria-invalid={error !== undefined || undefined}
        className={classNames(control, 'resize-y py-1.5', mono && code)}
      />
    </Field>
  );
}

export function SelectField({
  label,
  hint,
  error,
  mono = false,
  children,
  ...select
}: Shared & SelectHTMLAttributes<HTMLSelectElement>) {
  const id = useId();
  return (
    <Field id={id} label={label} hint={hint} error={error}>
      <select
        {...select}
        id={id}
        aria-describedby={`${id}-hint`}
        className={classNames(control, 'h-10 md:h-8', mono && code)}
      >
        {children}
      </select>
    </Field>
  );
}

function Field(props: {
  id: string;
  label: string;
  hint?: ReactNode;
  error?: string | undefined;
  children: ReactNode;
}) {
  const { id, label, hint, error, children } = props;
  return (
    <div className="grid gap-1">
      <label htmlFor={id} className="text-sm font-medium">
        {label}
      </label>
      {children}
      <p id={`${id}-hint`} className={`text-sm ${error === undefined ? 'text-ink-3' : 'text-fail'}`}>
        {error ?? hint}
      </p>
    </div>
  );
}
