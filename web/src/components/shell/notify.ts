import { useEffect } from 'react';
import { useParts } from '../../api/parts.tsx';

const stored = 'mission.notify';

export type NotifyState = 'unsupported' | 'blocked' | 'off' | 'on';

export function readNotifyState(): NotifyState {
  if (!('Notification' in globalThis)) return 'unsupported';
  if (Notification.permission === 'denied') return 'blocked';
  return Notification.permission === 'granted' && localStorage.getItem(stored) === 'on' ? 'on' : 'off';
}

export async function setNotify(on: boolean): Promise<NotifyState> {
  if (on && 'Notification' in globalThis) {
    if ((await Notification.requestPermission()) === 'granted') localStorage.setItem(stored, 'on');
  } else localStorage.removeItem(stored);
  return readNotifyState();
}

/** While the page is open but not in view, somebody who is needed hears of it. */
export function useBrowserNotifications(open: (path: string) => void): void {
  const { socket } = useParts();
  useEffect(
    () =>
      socket.listen({
        event: (event) => {
          if (document.visibilityState === 'visible' || readNotifyState() !== 'on') return;
          const [, id = ''] = event.subject.split('/');
          if (event.type === 'ask.opened')
            notify('Somebody is needed', String(event.data.question ?? ''), `/asks/${id}`, open);
          if (event.type === 'change.ready')
            notify(
              'A change is ready',
              'It passed its checks and waits for your review.',
              `/changes/${id}`,
              open,
            );
          if (event.type === 'task.failed')
            notify('A task failed', 'Its last run says why.', `/tasks/${id}`, open);
        },
      }),
    [socket, open],
  );
}

function notify(title: string, body: string, path: string, open: (path: string) => void): void {
  const notification = new Notification(title, { body: body.slice(0, 300), tag: path });
  notification.onclick = () => {
    window.focus();
    open(path);
    notification.close();
  };
}
