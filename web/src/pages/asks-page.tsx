import { Link, useNavigate, useParams } from '@tanstack/react-router';
import type { AskView } from '../../../contract/asks.ts';
import { useAsk, useAsks } from '../api/queries.ts';
import { actionLine } from '../components/asks/ask-action.tsx';
import { AskPanel, AskState } from '../components/asks/ask-panel.tsx';
import { ExactText } from '../components/exact-text.tsx';
import { Page } from '../components/shell/page.tsx';
import { Ago } from '../components/ui/clock.tsx';
import { Kbd } from '../components/ui/kbd.tsx';
import { Failure, Loading } from '../components/ui/outcome.tsx';
import { Empty } from '../components/ui/panel.tsx';
import { useHotkeys } from '../components/ui/use-hotkeys.ts';
import { useMedia } from '../components/ui/use-media.ts';
import { plainText } from '../text/plain-text.ts';

/** The asks beside the one that is chosen; on phones one or the other. */
export function AsksPage() {
  const { askId } = useParams({ strict: false });
  const navigate = useNavigate();
  const isWide = useMedia('(min-width: 1024px)');
  const asks = useAsks();
  const sorted = sortAsks(asks.data ?? []);
  const chosenId = askId ?? (isWide ? sorted[0]?.id : undefined);
  const move = (distance: number) => {
    const place = sorted.findIndex((ask) => ask.id === chosenId);
    const next = sorted[Math.max(0, Math.min(sorted.length - 1, place + distance))];
    if (next !== undefined) void navigate({ to: '/asks/$askId', params: { askId: next.id }, replace: true });
  };
  useHotkeys({ j: () => move(1), k: () => move(-1) });
  const isEmpty = asks.data?.length === 0;
  return (
    <Page
      title="Asks"
      scrolls={false}
      {...(askId !== undefined && !isWide ? { parent: { to: '/asks', title: 'Asks' } } : {})}
      heading={
        <>
          <h1 className="text-lg font-semibold">
            {askId !== undefined && !isWide ? <Link to="/asks">‹ Asks</Link> : 'Asks'}
          </h1>
          {!isEmpty && (
            <span className="hidden text-sm text-ink-3 lg:inline">
              <Kbd>J</Kbd> <Kbd>K</Kbd> move · <Kbd>A</Kbd> approve · <Kbd>L</Kbd> for longer · <Kbd>E</Kbd>{' '}
              edit · <Kbd>D</Kbd> deny
            </span>
          )}
        </>
      }
    >
      {asks.data === undefined && asks.error !== null && (
        <Failure error={asks.error} onRetry={() => void asks.refetch()} />
      )}
      {asks.isPending && <Loading label="Reading the asks" />}
      {isEmpty && askId === undefined && (
        <div className="p-5">
          <Empty title="Nobody has asked anything">
            <p>
              When an agent wants to do something that needs your word, or cannot decide by itself, its
              question waits here, with a deadline. Unanswered approvals are denied.
            </p>
          </Empty>
        </div>
      )}
      {(!isEmpty || askId !== undefined) && asks.data !== undefined && (
        <div className="grid min-h-0 flex-1 lg:grid-cols-[360px_minmax(0,1fr)]">
          {(isWide || askId === undefined) && <AskList asks={sorted} chosen={chosenId} />}
          {chosenId !== undefined && (
            <div className="min-h-0 overflow-auto">
              <ChosenAsk key={chosenId} id={chosenId} />
            </div>
          )}
        </div>
      )}
    </Page>
  );
}

function sortAsks(asks: readonly AskView[]): AskView[] {
  return [...asks].sort(
    (a, b) =>
      Number(b.status === 'open') - Number(a.status === 'open') ||
      (a.status === 'open' ? (a.deadline < b.deadline ? -1 : 1) : a.createdAt > b.createdAt ? -1 : 1),
  );
}

function AskList({ asks, chosen }: { asks: readonly AskView[]; chosen: string | undefined }) {
  return (
    <ul aria-label="Asks" className="min-h-0 divide-y divide-line overflow-auto border-line lg:border-r">
      {asks.map((ask) => {
        const action = actionLine(ask);
        return (
          <li
            key={ask.id}
            className={`relative grid gap-1 px-4 py-3 ${ask.id === chosen ? 'bg-hover shadow-[inset_2px_0_var(--accent)]' : 'hover:bg-hover'}`}
          >
            <div className="flex items-center justify-between gap-2 text-sm text-ink-3">
              <AskState ask={ask} />
              <Ago at={ask.createdAt} />
            </div>
            <Link
              to="/asks/$askId"
              params={{ askId: ask.id }}
              aria-current={ask.id === chosen ? 'true' : undefined}
              className={`line-clamp-2 break-words after:absolute after:inset-0 ${ask.status === 'open' ? 'font-medium' : 'text-ink-2'}`}
            >
              {plainText(ask.question)}
            </Link>
            {action !== null && (
              <code className="truncate text-sm text-ink-2">
                <ExactText text={action} wrap={false} />
              </code>
            )}
          </li>
        );
      })}
    </ul>
  );
}

function ChosenAsk({ id }: { id: string }) {
  const ask = useAsk(id);
  if (ask.data !== undefined)
    return (
      <div className="mx-auto max-w-[820px]">
        <AskPanel ask={ask.data} active />
      </div>
    );
  if (ask.error !== null) return <Failure error={ask.error} onRetry={() => void ask.refetch()} />;
  return <Loading label="Reading the ask" />;
}
