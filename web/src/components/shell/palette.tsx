import { useNavigate } from '@tanstack/react-router';
import { useId, useMemo, useState } from 'react';
import { useChanges, useRuns, useTasks } from '../../api/queries.ts';
import { Dialog } from '../ui/dialog.tsx';

export interface Command {
  id: string;
  group: string;
  title: string;
  hint?: string;
  run: () => void;
}

const most = 40;

/** Jump to anything, do anything. */
export function Palette(props: { open: boolean; onClose: () => void; commands: readonly Command[] }) {
  const { open, onClose, commands } = props;
  return (
    <Dialog open={open} onClose={onClose} title="Search or do" shape="top" hideTitle>
      <PaletteBody onClose={onClose} commands={commands} />
    </Dialog>
  );
}

function PaletteBody({ onClose, commands }: { onClose: () => void; commands: readonly Command[] }) {
  const list = useId();
  const [text, setText] = useState('');
  const [place, setPlace] = useState(0);
  const found = useMatches(text, commands);
  const chosen = found[Math.min(place, found.length - 1)];
  const run = (command: Command | undefined) => {
    if (command === undefined) return;
    onClose();
    command.run();
  };
  return (
    <>
      <input
        // biome-ignore lint/a11y/noAutofocus: the palette was opened to write here
        autoFocus
        role="combobox"
        aria-label="Search or do"
        aria-expanded="true"
        aria-controls={list}
        aria-activedescendant={chosen === undefined ? undefined : `${list}-${chosen.id}`}
        placeholder="Search or do…"
        autoComplete="off"
        spellCheck={false}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setPlace(0);
        }}
        onKeyDown={(event) => {
          const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
          if (step !== undefined) {
            event.preventDefault();
            setPlace((now) => Math.max(0, Math.min(found.length - 1, now + step)));
          }
          if (event.key === 'Enter') {
            event.preventDefault();
            run(chosen);
          }
        }}
        className="h-12 w-full border-b border-line bg-panel px-4 text-base outline-none placeholder:text-ink-3"
      />
      <div id={list} role="listbox" aria-label="Results" className="max-h-[46vh] overflow-auto p-1.5">
        {found.map((command, index) => {
          const isFirst = command.group !== found[index - 1]?.group;
          const isChosen = command === chosen;
          return (
            <div
              key={command.id}
              id={`${list}-${command.id}`}
              role="option"
              aria-selected={isChosen}
              tabIndex={-1}
              onMouseMove={() => setPlace(index)}
              onClick={() => run(command)}
              onKeyDown={() => undefined}
              className={`flex cursor-pointer items-center gap-3 rounded-md px-2.5 py-1.5 ${isChosen ? 'bg-hover' : ''}`}
            >
              <span className="w-16 shrink-0 text-xs text-ink-3">{isFirst ? command.group : ''}</span>
              <span className="min-w-0 flex-1 truncate">{command.title}</span>
              {command.hint !== undefined && <span className="text-sm text-ink-3">{command.hint}</span>}
            </div>
          );
        })}
        {found.length === 0 && <p className="px-3 py-6 text-center text-ink-3">Nothing fits “{text}”.</p>}
      </div>
    </>
  );
}

function useMatches(text: string, commands: readonly Command[]): Command[] {
  const navigate = useNavigate();
  const tasks = useTasks();
  const runs = useRuns();
  const changes = useChanges();
  const all = useMemo(() => {
    const titles = new Map(tasks.data?.map((task) => [task.id, task.title]));
    return [
      ...commands,
      ...(tasks.data ?? []).map((task) => ({
        id: task.id,
        group: 'Tasks',
        title: task.title,
        hint: task.status.replace('_', ' '),
        run: () => void navigate({ to: '/tasks/$taskId', params: { taskId: task.id } }),
      })),
      ...(changes.data ?? []).map((change) => ({
        id: change.id,
        group: 'Changes',
        title: change.title,
        hint: change.status.replace('_', ' '),
        run: () => void navigate({ to: '/changes/$changeId', params: { changeId: change.id } }),
      })),
      ...(runs.data ?? []).map((run) => ({
        id: run.id,
        group: 'Runs',
        title: titles.get(run.taskId) ?? run.id,
        hint: `${run.kind} · ${run.status}`,
        run: () => void navigate({ to: '/runs/$runId', params: { runId: run.id } }),
      })),
    ];
  }, [commands, tasks.data, runs.data, changes.data, navigate]);
  const parts = text.toLowerCase().split(/\s+/).filter(Boolean);
  return all
    .filter((command) => {
      const hay = `${command.group} ${command.title} ${command.id}`.toLowerCase();
      return parts.every((part) => hay.includes(part));
    })
    .slice(0, most);
}
