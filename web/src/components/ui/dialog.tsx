import { X } from 'lucide-react';
import { Dialog as Radix } from 'radix-ui';
import type { ReactNode } from 'react';

interface DialogProps {
  open: boolean;
  onClose: () => void;
  title: string;
  description?: ReactNode;
  children: ReactNode;
  /** `sheet` rises from the bottom: for details on phones. */
  shape?: 'center' | 'sheet' | 'top';
  hideTitle?: boolean;
}

const shapes = {
  center:
    'top-1/2 left-1/2 w-[min(480px,calc(100vw-32px))] -translate-x-1/2 -translate-y-1/2 rounded-lg animate-rise',
  top: 'top-[12vh] left-1/2 w-[min(620px,calc(100vw-24px))] -translate-x-1/2 rounded-lg animate-rise',
  sheet: 'inset-x-0 bottom-0 max-h-[88vh] rounded-t-xl animate-slide',
};

/** A dialog: focus stays inside, Escape closes it, what is behind is hidden from assistive technology. */
export function Dialog(props: DialogProps) {
  const { open, onClose, title, description, children, shape = 'center', hideTitle = false } = props;
  return (
    <Radix.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 bg-[rgb(0_0_0/0.38)]" />
        <Radix.Content
          {...(description === undefined ? { 'aria-describedby': undefined } : {})}
          onOpenAutoFocus={focusBody}
          className={`fixed z-50 flex flex-col overflow-hidden border border-line-control bg-panel shadow-2xl ${shapes[shape]}`}
        >
          <div className={hideTitle ? 'sr-only' : 'flex items-center justify-between gap-3 px-4 pt-3.5 pb-1'}>
            <Radix.Title className="text-base font-semibold">{title}</Radix.Title>
            {!hideTitle && (
              <Radix.Close
                aria-label="Close"
                className="grid size-8 place-items-center rounded-md text-ink-3 hover:bg-hover hover:text-ink"
              >
                <X size={16} aria-hidden="true" />
              </Radix.Close>
            )}
          </div>
          {description !== undefined && (
            <Radix.Description asChild>
              <div className="px-4 text-ink-2">{description}</div>
            </Radix.Description>
          )}
          <div data-body className="contents">
            {children}
          </div>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

/** Into what the dialog asks for, not onto the cross that closes it. */
function focusBody(event: Event): void {
  const content = event.target;
  if (!(content instanceof HTMLElement)) return;
  const body = content.querySelector('[data-body]');
  const target = body?.querySelector('input, textarea') ?? body?.querySelector('button');
  if (!(target instanceof HTMLElement)) return;
  event.preventDefault();
  target.focus();
}
