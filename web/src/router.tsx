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

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound });
const login = createRoute({ getParentRoute: () => root, path: '/login', component: LoginPage });
const inside = createRoute({ getParentRoute: () => root, id: 'inside', component: SessionGate });

const now = createRoute({
  getParentRoute: () => inside,
  path: '/',
  component: lazyRouteComponent(() => import('./pages/now-page.tsx'), 'NowPage'),
});
const asks = createRoute({
  getParentRoute: () => inside,
  path: '/asks',
  component: lazyRouteComponent(() => import('./pages/asks-page.tsx'), 'AsksPage'),
});
const ask = createRoute({
  getParentRoute: () => inside,
  path: '/asks/$askId',
  component: lazyRouteComponent(() => import('./pages/asks-page.tsx'), 'AsksPage'),
});
const tasks = createRoute({
  getParentRoute: () => inside,
  path: '/tasks',
  component: lazyRouteComponent(() => import('./pages/tasks-page.tsx'), 'TasksPage'),
});
const newTask = createRoute({
  getParentRoute: () => inside,
  path: '/tasks/new',
  component: lazyRouteComponent(() => import('./pages/new-task-page.tsx'), 'NewTaskPage'),
});
const task = createRoute({
  getParentRoute: () => inside,
  path: '/tasks/$taskId',
  component: lazyRouteComponent(() => import('./pages/task-page.tsx'), 'TaskPage'),
});
const run = createRoute({
  getParentRoute: () => inside,
  path: '/runs/$runId',
  component: lazyRouteComponent(() => import('./pages/run-page.tsx'), 'RunPage'),
});
const changes = createRoute({
  getParentRoute: () => inside,
  path: '/changes',
  component: lazyRouteComponent(() => import('./pages/changes-page.tsx'), 'ChangesPage'),
});
const change = createRoute({
  getParentRoute: () => inside,
  path: '/changes/$changeId',
  component: lazyRouteComponent(() => import('./pages/change-page.tsx'), 'ChangePage'),
});
const settings = createRoute({
  getParentRoute: () => inside,
  path: '/settings',
  component: lazyRouteComponent(() => import('./pages/settings-page.tsx'), 'SettingsPage'),
});

const tree = root.addChildren([
  login,
  inside.addChildren([now, asks, ask, tasks, newTask, task, run, changes, change, settings]),
]);

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
            It may have been mistyped, or be of another server. <a href="/">Go to Now</a>.
          </p>
        </Empty>
      </div>
    </Page>
  );
}

function Broken({ error, reset }: ErrorComponentProps) {
  return <Failure error={error} onRetry={reset} />;
}
