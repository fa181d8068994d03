import { useMutation } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type FormEvent, useEffect, useState } from 'react';
import { type CreateTaskBody, createdTask } from '../../../../contract/tasks.ts';
import { useParts } from '../../api/parts.tsx';
import { useModels, useTasks } from '../../api/queries.ts';
import { RecordingTag } from '../runs/run-badges.tsx';
import { Button } from '../ui/button.tsx';
import { TextArea, TextField } from '../ui/field.tsx';
import { Kbd, modifierKey } from '../ui/kbd.tsx';
import { InlineFailure } from '../ui/outcome.tsx';

interface Draft {
  instructions: string;
  repository: string;
  branch: string;
  folder: string;
  checks: string;
  setup: string;
  model: string;
  usd: string;
}

const blank: Draft = {
  instructions: '',
  repository: '',
  branch: '',
  folder: '',
  checks: '',
  setup: '',
  model: '',
  usd: '',
};
const stored = 'mission.task-draft';

/** What somebody wants done, and where. What is written survives a reload until it is given. */
export function TaskForm({ autoFocus = false }: { autoFocus?: boolean }) {
  const { api, queries } = useParts();
  const navigate = useNavigate();
  const [draft, setDraft] = useState(readDraft);
  useEffect(() => sessionStorage.setItem(stored, JSON.stringify(draft)), [draft]);
  const create = useMutation({
    mutationFn: () => api.post('/tasks', toBody(draft), createdTask),
    onSuccess: ({ run }) => {
      setDraft({ ...draft, instructions: '' });
      sessionStorage.removeItem(stored);
      void queries.invalidateQueries({ queryKey: ['tasks'] });
      void navigate({ to: '/runs/$runId', params: { runId: run.id } });
    },
  });
  const field = (name: keyof Draft) => ({
    value: draft[name],
    onChange: ({ target }: { target: { value: string } }) =>
      setDraft((now) => ({ ...now, [name]: target.value })),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  return (
    <form
      onSubmit={submit}
      onKeyDown={(event) => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) event.currentTarget.requestSubmit();
      }}
      className="grid gap-4"
    >
      <TextArea
        label="What is wanted"
        hint="The agent reads exactly this. Say what must be true when it is done, and what is out of scope."
        required
        rows={7}
        maxLength={100_000}
        autoFocus={autoFocus}
        {...field('instructions')}
      />
      <RepositoryFields field={field} />
      <details className="rounded-lg border border-line bg-panel px-4 py-3" open={isDetailed(draft)}>
        <summary className="text-sm font-medium">Folder, checks, set-up, model, budget</summary>
        <div className="mt-3 grid gap-4">
          <TextField
            label="Folder"
            hint="Of a monorepo: where checks and set-up run. Empty: the root."
            mono
            placeholder="packages/core"
            {...field('folder')}
          />
          <TextArea
            label="Checks"
            hint="One shell line each; all must pass. Empty: they are discovered in the repository."
            mono
            rows={2}
            placeholder="npm test"
            {...field('checks')}
          />
          <TextArea
            label="Set-up"
            hint="One shell line each, run once for each lockfile. Empty: discovered from lockfiles."
            mono
            rows={2}
            placeholder="npm ci"
            {...field('setup')}
          />
          <ModelField {...field('model')} />
          <TextField
            label="Budget for the run, in US dollars"
            hint="At the limit the run stops and asks. Empty: the server’s own limit."
            inputMode="decimal"
            pattern="\d+([.]\d+)?"
            placeholder="5.00"
            {...field('usd')}
          />
        </div>
      </details>
      <InlineFailure error={create.error} />
      <div className="flex items-center gap-3">
        <Button look="primary" type="submit" busy={create.isPending}>
          Give the task <Kbd inverted>{`${modifierKey()}↵`}</Kbd>
        </Button>
        <span className="text-sm text-ink-3">It begins as soon as a worker is free.</span>
      </div>
    </form>
  );
}

type FieldProps = (name: keyof Draft) => {
  value: string;
  onChange: (event: { target: { value: string } }) => void;
};

function RepositoryFields({ field }: { field: FieldProps }) {
  const tasks = useTasks();
  const known = [...new Set((tasks.data ?? []).flatMap((task) => task.repository ?? []))].slice(0, 20);
  return (
    <div className="grid gap-4 md:grid-cols-[1fr_200px]">
      <div>
        <TextField
          label="Repository"
          hint="A path on the server’s machine, or a URL. Your working copy is never touched."
          required
          mono
          list="known-repositories"
          placeholder="/home/you/project or https://…"
          {...field('repository')}
        />
        <datalist id="known-repositories">
          {known.map((repository) => (
            <option key={repository} value={repository} />
          ))}
        </datalist>
      </div>
      <TextField
        label="Branch"
        hint="Empty: the one it is on."
        mono
        placeholder="main"
        {...field('branch')}
      />
    </div>
  );
}

function ModelField(props: { value: string; onChange: (event: { target: { value: string } }) => void }) {
  const models = useModels();
  const list = models.data?.models ?? [];
  const isRecording =
    list.find((one) => one.model === props.value)?.recording ?? props.value.startsWith('recorded/');
  return (
    <div>
      <TextField
        label="Model"
        hint={
          isRecording ? 'A recording: it replays answers made for one task.' : 'Empty: the agent’s own model.'
        }
        mono
        list="known-models"
        {...props}
      />
      <datalist id="known-models">
        {list.map(({ model }) => (
          <option key={model} value={model} />
        ))}
      </datalist>
      {isRecording && <RecordingTag />}
    </div>
  );
}

function isDetailed(draft: Draft): boolean {
  return (
    draft.folder !== '' || draft.checks !== '' || draft.setup !== '' || draft.model !== '' || draft.usd !== ''
  );
}

function toBody(draft: Draft): CreateTaskBody {
  const lines = (text: string) =>
    text
      .split('\n')
      .map((line) => line.trim())
      .filter(Boolean);
  const checks = lines(draft.checks);
  const setup = lines(draft.setup);
  return {
    instructions: draft.instructions.trim(),
    repository: draft.repository.trim(),
    ...(draft.branch.trim() === '' ? {} : { branch: draft.branch.trim() }),
    ...(draft.folder.trim() === '' ? {} : { folder: draft.folder.trim() }),
    ...(checks.length === 0 ? {} : { checks }),
    ...(setup.length === 0 ? {} : { setup }),
    ...(draft.model.trim() === '' ? {} : { model: draft.model.trim() }),
    ...(draft.usd.trim() === '' ? {} : { budget: { usd: Number(draft.usd) } }),
  };
}

function readDraft(): Draft {
  const text = sessionStorage.getItem(stored);
  if (text === null) return blank;
  const saved: unknown = JSON.parse(text);
  return typeof saved === 'object' && saved !== null ? { ...blank, ...saved } : blank;
}
