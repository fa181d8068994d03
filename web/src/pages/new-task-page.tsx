import { TaskForm } from '../components/forms/task-form.tsx';
import { useSample } from '../components/forms/use-sample.ts';
import { Page } from '../components/shell/page.tsx';
import { InlineFailure } from '../components/ui/outcome.tsx';

export function NewTaskPage() {
  const sample = useSample();
  return (
    <Page title="New task" parent={{ to: '/tasks', title: 'Tasks' }}>
      <div className="mx-auto grid w-full max-w-[720px] gap-5 px-3.5 py-6 md:px-5">
        <TaskForm autoFocus />
        <div className="text-sm text-ink-3">
          Or{' '}
          <button
            type="button"
            disabled={sample.isPending}
            onClick={() => sample.mutate()}
            className="text-accent underline underline-offset-2"
          >
            run the sample task
          </button>{' '}
          with the recorded model.
          <InlineFailure error={sample.error} />
        </div>
      </div>
    </Page>
  );
}
