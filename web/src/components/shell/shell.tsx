import { Link, Outlet, useNavigate, useRouterState } from '@tanstack/react-router';
import {
  GitPullRequestArrow,
  Inbox,
  ListTodo,
  type LucideIcon,
  OctagonX,
  Orbit,
  Settings,
} from 'lucide-react';
import { type ReactNode, useCallback, useMemo, useState } from 'react';
import { useStatus } from '../../api/queries.ts';
import { money } from '../../text/format.ts';
import { Kbd, modifierKey } from '../ui/kbd.tsx';
import { useTheme } from '../ui/theme.ts';
import { useHotkeys } from '../ui/use-hotkeys.ts';
import { Banners } from './banners.tsx';
import { BrandMark } from './brand.tsx';
import { HaltDialog, useHalt } from './halt-switch.tsx';
import { useBrowserNotifications } from './notify.ts';
import { type Command, Palette } from './palette.tsx';
import { ShellContext } from './shell-context.ts';
import { ShortcutsHelp } from './shortcuts-help.tsx';
import { useNeeds } from './use-needs.ts';

const views = [
  { to: '/', title: 'Now', key: 'n', icon: Orbit },
  { to: '/asks', title: 'Asks', key: 'a', icon: Inbox },
  { to: '/tasks', title: 'Tasks', key: 't', icon: ListTodo },
  { to: '/changes', title: 'Changes', key: 'c', icon: GitPullRequestArrow },
  { to: '/settings', title: 'Settings', key: 's', icon: Settings },
] as const;

type Open = 'palette' | 'help' | 'halt' | null;

/** What stands around every page: navigation, what is true of everything, keys, the stop switch. */
export function Shell() {
  const navigate = useNavigate();
  const status = useStatus();
  const { needs } = useNeeds();
  const [open, setOpen] = useState<Open>(null);
  const isHalted = status.data?.halted != null;
  const commands = useCommands(setOpen, isHalted);
  const close = useCallback(() => setOpen(null), []);
  const go = useCallback((to: string) => void navigate({ to }), [navigate]);
  useBrowserNotifications(go);
  useHotkeys({
    'mod+k': () => setOpen((now) => (now === 'palette' ? null : 'palette')),
    '?': () => setOpen('help'),
    c: () => go('/tasks/new'),
    ...Object.fromEntries(views.map(({ key, to }) => [`g ${key}`, () => go(to)])),
  });
  const context = useMemo(
    () => ({
      needs: needs.length,
      openPalette: () => setOpen('palette'),
      openHalt: () => setOpen('halt'),
      isHalted,
    }),
    [needs.length, isHalted],
  );
  return (
    <ShellContext value={context}>
      <a
        href="#main"
        className="fixed top-2 left-2 z-50 -translate-y-16 rounded-md bg-ink px-3 py-1.5 text-bg focus:translate-y-0"
      >
        Skip to the page
      </a>
      <div className="grid h-full grid-cols-1 grid-rows-[minmax(0,1fr)_auto] md:grid-cols-[216px_minmax(0,1fr)] md:grid-rows-1">
        <SideBar onOpen={setOpen} isHalted={isHalted} />
        <div className="flex min-h-0 min-w-0 flex-col">
          <Banners />
          <Outlet />
        </div>
        <BottomBar />
      </div>
      <Palette open={open === 'palette'} onClose={close} commands={commands} />
      <ShortcutsHelp open={open === 'help'} onClose={close} />
      <HaltDialog open={open === 'halt'} onClose={close} />
    </ShellContext>
  );
}

function useCounts(): Record<string, { count: number; urgent: boolean }> {
  const status = useStatus();
  const { needs } = useNeeds();
  const asks = status.data?.asks.filter((ask) => ask.status === 'open').length ?? 0;
  return {
    '/': { count: needs.length, urgent: needs.length > 0 },
    '/asks': { count: asks, urgent: asks > 0 },
    '/tasks': { count: status.data?.tasks.length ?? 0, urgent: false },
    '/changes': { count: status.data?.changes.length ?? 0, urgent: false },
  };
}

function Count({ count, urgent }: { count: number; urgent: boolean }) {
  if (count === 0) return null;
  return (
    <span
      className={
        urgent
          ? 'rounded-full bg-wait px-1.5 text-xs leading-[17px] font-semibold text-panel'
          : 'px-1.5 text-xs text-ink-3'
      }
    >
      {count}
    </span>
  );
}

function useIsCurrent(): (to: string) => boolean {
  const path = useRouterState({ select: (state) => state.location.pathname });
  return (to) =>
    to === '/' ? path === '/' : path.startsWith(to) || (to === '/tasks' && path.startsWith('/runs'));
}

function SideBar({ onOpen, isHalted }: { onOpen: (open: Open) => void; isHalted: boolean }) {
  const counts = useCounts();
  const isCurrent = useIsCurrent();
  return (
    <nav aria-label="Main" className="hidden flex-col gap-0.5 border-r border-line px-2.5 py-3.5 md:flex">
      <div className="flex items-center gap-2 px-2 pb-3 font-semibold">
        <BrandMark />
        Mission Control
      </div>
      <button
        type="button"
        onClick={() => onOpen('palette')}
        className="mb-2.5 flex h-8 items-center justify-between rounded-md border border-line-control bg-panel px-2 text-sm text-ink-3 hover:border-line-strong"
      >
        Search or do… <Kbd>{`${modifierKey()}K`}</Kbd>
      </button>
      {views.map(({ to, title, icon }) => (
        <NavLink key={to} to={to} title={title} icon={icon} current={isCurrent(to)}>
          <span className="ml-auto">
            <Count {...(counts[to] ?? { count: 0, urgent: false })} />
          </span>
        </NavLink>
      ))}
      <span className="flex-1" />
      <Meter />
      <button
        type="button"
        onClick={() => onOpen('halt')}
        disabled={isHalted}
        className="flex h-8 items-center gap-2.5 rounded-md px-2 text-ink-2 hover:bg-fail-soft hover:text-fail disabled:opacity-50"
      >
        <OctagonX size={15} aria-hidden="true" className="text-fail" />
        {isHalted ? 'Stopped' : 'Stop everything'}
      </button>
    </nav>
  );
}

function NavLink(props: {
  to: string;
  title: string;
  icon: LucideIcon;
  current: boolean;
  children?: ReactNode;
}) {
  const { to, title, icon: Icon, current, children } = props;
  return (
    <Link
      to={to}
      aria-current={current ? 'page' : undefined}
      className={`flex h-8 items-center gap-2.5 rounded-md px-2 ${
        current ? 'bg-hover font-medium text-ink' : 'text-ink-2 hover:bg-hover hover:text-ink'
      }`}
    >
      <Icon size={15} aria-hidden="true" className={current ? '' : 'text-ink-3'} />
      {title}
      {children}
    </Link>
  );
}

function Meter() {
  const { data } = useStatus();
  const today = data?.today;
  if (today === null || today === undefined) return null;
  const { spentMicros, reservedMicros, limitMicros } = today;
  const share = limitMicros === null || limitMicros === 0 ? 0 : (spentMicros + reservedMicros) / limitMicros;
  return (
    <div className="px-2 pb-2 text-xs text-ink-2">
      Today {money(spentMicros)}
      {limitMicros !== null && ` of ${money(limitMicros)}`}
      <div className="mt-1.5 h-1 overflow-hidden rounded-full bg-line">
        <i
          className={`block h-full ${share > 0.9 ? 'bg-fail' : share > 0.7 ? 'bg-wait' : 'bg-ink-2'}`}
          style={{ width: `${Math.min(100, share * 100)}%` }}
        />
      </div>
    </div>
  );
}

function BottomBar() {
  const counts = useCounts();
  const isCurrent = useIsCurrent();
  return (
    <nav
      aria-label="Main"
      className="grid grid-cols-5 border-t border-line bg-bg pb-[env(safe-area-inset-bottom)] md:hidden"
    >
      {views.map(({ to, title, icon: Icon }) => (
        <Link
          key={to}
          to={to}
          aria-current={isCurrent(to) ? 'page' : undefined}
          className={`relative grid h-13 place-content-center justify-items-center gap-0.5 text-xs ${
            isCurrent(to) ? 'font-semibold text-ink' : 'text-ink-2'
          }`}
        >
          <Icon size={18} aria-hidden="true" />
          {title}
          <span className="absolute top-0.5 left-1/2 ml-1.5">
            <Count {...(counts[to] ?? { count: 0, urgent: false })} />
          </span>
        </Link>
      ))}
    </nav>
  );
}

function useCommands(setOpen: (open: Open) => void, isHalted: boolean): Command[] {
  const navigate = useNavigate();
  const [, setTheme] = useTheme();
  const { release } = useHalt();
  const releaseNow = release.mutate;
  return useMemo(
    () => [
      {
        id: 'new-task',
        group: 'Do',
        title: 'New task',
        hint: 'C',
        run: () => void navigate({ to: '/tasks/new' }),
      },
      isHalted
        ? { id: 'release', group: 'Do', title: 'Release: let runs go on', run: () => releaseNow() }
        : { id: 'halt', group: 'Do', title: 'Stop everything', run: () => setOpen('halt') },
      { id: 'help', group: 'Do', title: 'Show the keys', hint: '?', run: () => setOpen('help') },
      ...views.map(({ to, title, key }) => ({
        id: `go-${title}`,
        group: 'Go to',
        title,
        hint: `G ${key.toUpperCase()}`,
        run: () => void navigate({ to }),
      })),
      ...(['system', 'light', 'dark'] as const).map((theme) => ({
        id: `theme-${theme}`,
        group: 'Theme',
        title: theme === 'system' ? 'As the system' : theme === 'light' ? 'Light' : 'Dark',
        run: () => setTheme(theme),
      })),
    ],
    [navigate, setOpen, setTheme, releaseNow, isHalted],
  );
}
