import { createContext, type ReactNode, useCallback, useContext, useRef, useState } from 'react';
import { StateMark } from './state-mark.tsx';

interface Toast {
  id: number;
  text: string;
  tone: 'ok' | 'fail';
}

const ToastContext = createContext<(text: string, tone?: Toast['tone']) => void>(() => undefined);
const shownMs = 6_000;

/** Says what an action has done, once, on screen and to screen readers. */
export function useToast() {
  return useContext(ToastContext);
}

export function ToastProvider({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<Toast[]>([]);
  const next = useRef(0);
  const show = useCallback((text: string, tone: Toast['tone'] = 'ok') => {
    const id = next.current++;
    setToasts((now) => [...now.slice(-2), { id, text, tone }]);
    setTimeout(() => setToasts((now) => now.filter((toast) => toast.id !== id)), shownMs);
  }, []);
  return (
    <ToastContext value={show}>
      {children}
      <div
        role="status"
        className="pointer-events-none fixed right-4 bottom-18 z-[60] grid justify-items-end gap-2 md:bottom-4"
      >
        {toasts.map((toast) => (
          <div
            key={toast.id}
            className="flex max-w-[min(420px,calc(100vw-32px))] animate-rise items-start gap-2 rounded-lg border border-line-control bg-panel px-3 py-2 shadow-lg"
          >
            <StateMark mark={toast.tone} className="mt-[3px] size-[14px]" />
            <span className="min-w-0 break-words">{toast.text}</span>
          </div>
        ))}
      </div>
    </ToastContext>
  );
}
