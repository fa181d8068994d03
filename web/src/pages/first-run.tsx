import { ChevronRight } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { useModels } from '../api/queries.ts';
import { ModelTest } from '../components/forms/model-test.tsx';
import { ProviderForm } from '../components/forms/provider-form.tsx';
import { TaskForm } from '../components/forms/task-form.tsx';
import { useSample } from '../components/forms/use-sample.ts';
import { RecordingTag } from '../components/runs/run-badges.tsx';
import { Button } from '../components/ui/button.tsx';
import { InlineFailure } from '../components/ui/outcome.tsx';
import { State } from '../components/ui/state-mark.tsx';

/** What somebody sees who has never given a task: three steps, the first of which works at once. */
export function FirstRun() {
  const sample = useSample();
  const models = useModels();
  const connected = models.data?.providers.find((provider) => provider.connected);
  const model = models.data?.models.find((one) => one.provider === connected?.name && !one.recording);
  return (
    <div className="mx-auto w-full max-w-[720px] px-3.5 py-8 md:px-5 md:py-12">
      <h2 className="text-xl font-semibold tracking-tight">Give a task, get a change with evidence</h2>
      <p className="mt-2 max-w-[62ch] text-ink-2">
        An agent works on it alone, in a sandbox. What comes back has passed its checks in a clean workspace,
        and waits for your review. Nothing is merged without you.
      </p>
      <ol className="mt-7 grid gap-3">
        <Stage number={1} title="Run the sample task" open>
          <p className="text-ink-2">
            A small library with one real bug and one missing feature. The model is a <RecordingTag />, so it
            needs no key and costs nothing; the sandbox, the checks and the change are real. It takes about 15
            seconds.
          </p>
          <div className="mt-3 flex items-center gap-3">
            <Button look="primary" busy={sample.isPending} onClick={() => sample.mutate()}>
              Run the sample task
            </Button>
          </div>
          <InlineFailure error={sample.error} />
        </Stage>
        <Stage
          number={2}
          title="Connect a model"
          note={connected !== undefined && <State mark="ok">{connected.name} is connected</State>}
        >
          {connected !== undefined && (
            <div className="mb-4 grid gap-2">
              <p className="text-ink-2">
                {connected.name} has its key from the {connected.keyFrom ?? 'server'}.
              </p>
              {model !== undefined && <ModelTest model={model.model} />}
            </div>
          )}
          <ProviderForm />
        </Stage>
        <Stage number={3} title="Give it a task of your own">
          <TaskForm />
        </Stage>
      </ol>
    </div>
  );
}

function Stage(props: {
  number: number;
  title: string;
  open?: boolean;
  note?: ReactNode;
  children: ReactNode;
}) {
  const { number, title, note, children } = props;
  const [open, setOpen] = useState(props.open === true);
  return (
    <li className="rounded-lg border border-line bg-panel">
      <h3>
        <button
          type="button"
          aria-expanded={open}
          onClick={() => setOpen(!open)}
          className="flex w-full items-center gap-3 px-4 py-3 text-left"
        >
          <span className="grid size-6 shrink-0 place-items-center rounded-full border border-line-control text-sm text-ink-2">
            {number}
          </span>
          <span className="font-medium">{title}</span>
          <span className="ml-auto">{note}</span>
          <ChevronRight
            size={15}
            aria-hidden="true"
            className={`text-ink-3 transition-transform ${open ? 'rotate-90' : ''}`}
          />
        </button>
      </h3>
      {open && <div className="px-4 pb-5 md:pl-13">{children}</div>}
    </li>
  );
}
