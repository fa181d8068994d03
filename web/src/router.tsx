import {
  createRootRoute,
  createRoute,
  createRouter,
  type ErrorComponentProps,
  lazyRouteComponent,
  Outlet,
} from '@tanstack/react-router';
import { Page } from './components/shell/page.tsx';
import { Failure, Loading } from './components/ui/outcome.tsx';
import { Empty } from './components/ui/panel.tsx';
import { LoginPage } from './pages/login-page.tsx';
import { SessionGate } from './pages/session-gate.tsx';

const pages = {
  now: lazyRouteComponent(() => import('./pages/now-page.tsx'), 'NowPage'),
  asks: lazyRouteComponent(() => import('./pages/asks-page.tsx'), 'AsksPage'),
  tasks: lazyRouteComponent(() => import('./pages/tasks-page.tsx'), 'TasksPage'),
  newTask: lazyRouteComponent(() => import('./pages/new-task-page.tsx'), 'NewTaskPage'),
  task: lazyRouteComponent(() => import('./pages/task-page.tsx'), 'TaskPage'),
  run: lazyRouteComponent(() => import('./pages/run-page.tsx'), 'RunPage'),
  changes: lazyRouteComponent(() => import('./pages/changes-page.tsx'), 'ChangesPage'),
  change: lazyRouteComponent(() => import('./pages/change-page.tsx'), 'ChangePage'),
  settings: lazyRouteComponent(() => import('./pages/settings-page.tsx'), 'SettingsPage'),
};

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound });
const login = createRoute({ getParentRoute: () => root, path: '/login', component: LoginPage });
const inside = createRoute({ getParentRoute: () => root, id: 'inside', component: SessionGate });

const now = createRoute({
  getParentRoute: () => inside,
  path: '/',
  component: pages.now,
});
const asks = createRoute({
  getParentRoute: () => inside,
  path: '/asks',
  component: pages.asks,
});
const ask = createRoute({
  getParentRoute: () => inside,
  path: '/asks/$askId',
  component: pages.asks,
});
const tasks = createRoute({
  getParentRoute: () => inside,
  path: '/tasks',
  component: pages.tasks,
});
const newTask = createRoute({
  getParentRoute: () => inside,
  path: '/tasks/new',
  component: pages.newTask,
});
const task = createRoute({
  getParentRoute: () => inside,
  path: '/tasks/$taskId',
  component: pages.task,
});
const run = createRoute({
  getParentRoute: () => inside,
  path: '/runs/$runId',
  component: pages.run,
});
const changes = createRoute({
  getParentRoute: () => inside,
  path: '/changes',
  component: pages.changes,
});
const change = createRoute({
  getParentRoute: () => inside,
  path: '/changes/$changeId',
  component: pages.change,
});
const settings = createRoute({
  getParentRoute: () => inside,
  path: '/settings',
  component: pages.settings,
});

const nowhere = createRoute({ getParentRoute: () => inside, path: '$', component: NotFound });

const tree = root.addChildren([
  login,
  inside.addChildren([now, asks, ask, tasks, newTask, task, run, changes, change, settings, nowhere]),
]);

/** Fetches every page ahead, so that a server that goes away later does not take unseen pages with it. */
export async function preloadPages(): Promise<void> {
  await Promise.all(Object.values(pages).map((page) => page.preload?.()));
}

export function createAppRouter() {
  return createRouter({
    routeTree: tree,
    defaultPreload: 'intent',
    defaultPendingComponent: () => <Loading label="Loading" />,
    defaultErrorComponent: Broken,
    scrollRestoration: false,
  });
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createAppRouter>;
  }
}

function NotFound() {
  return (
    <Page title="Not found">
      <div className="p-5">
        <Empty title="There is nothing at this address">
          <p>
            It may have been mistyped, or be of another server.{' '}
            <a href="/" className="text-accent underline underline-offset-2">
              Go to Now
            </a>
            .
          </p>
        </Empty>
      </div>
    </Page>
  );
}

function Broken({ error, reset }: ErrorComponentProps) {
  return <Failure error={error} onRetry={reset} />;
}
